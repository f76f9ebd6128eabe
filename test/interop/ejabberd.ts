// A real ejabberd (Debian package ejabberd) that delegates XEP-0215 to our component. It runs as one Erlang process,
// without ejabberdctl, whose shell script wants a user of its own and a distribution port.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePorts, newFolder, ServerProcess } from "./server-process.ts";
import {
  componentDomain,
  componentSecret,
  domain,
  otherDomain,
  password,
  roomsDomain,
  type XmppServer,
} from "./xmpp-server.ts";

export async function ejabberd({ knowsUs = true } = {}): Promise<XmppServer> {
  const folder = newFolder("ejabberd");
  const [clientPort = 0, componentPort = 0, httpPort = 0] = await freePorts(3);
  const spool = join(folder, "spool");
  mkdirSync(spool);
  const config = join(folder, "ejabberd.yml");
  writeFileSync(config, configuration(clientPort, httpPort, knowsUs ? componentPort : undefined));

  const server = new ServerProcess({
    program: "erl",
    args: ["-noinput", "+S", "1", "-mnesia", "dir", `"${spool}"`, "-s", "ejabberd"],
    env: {
      EJABBERD_CONFIG_PATH: config,
      EJABBERD_LOG_PATH: join(folder, "ejabberd.log"),
      EJABBERD_PID_PATH: join(folder, "ejabberd.pid"),
      ERL_LIBS: "/usr/lib/x86_64-linux-gnu",
      ERL_CRASH_DUMP: join(folder, "crash.dump"),
      HOME: folder,
    },
    folder,
    ports: [clientPort, componentPort, httpPort],
  });
  let hasUsers = false;

  return {
    name: "ejabberd",
    config,
    delegation: "urn:xmpp:delegation:1",
    clients: `xmpp://127.0.0.1:${clientPort}`,
    components: `xmpp://127.0.0.1:${componentPort}`,
    bosh: `http://127.0.0.1:${httpPort}/bosh`,
    webSocket: `ws://127.0.0.1:${httpPort}/ws`,
    async start() {
      await server.start();
      if (hasUsers) return;
      await addUser(httpPort, domain, "alice");
      await addUser(httpPort, domain, "bob");
      await addUser(httpPort, otherDomain, "mallory");
      hasUsers = true;
    },
    addUser: (name) => addUser(httpPort, domain, name),
    stop: () => server.stop(),
    discard: () => server.discard(),
  };
}

async function addUser(httpPort: number, host: string, user: string): Promise<void> {
  const body = JSON.stringify({ user, host, password });
  const response = await fetch(`http://127.0.0.1:${httpPort}/api/register`, { method: "POST", body });
  if (!response.ok) throw new Error(`ejabberd did not register ${user}: ${await response.text()}`);
}

/** Without a port for components, it knows nothing of us. */
function configuration(clientPort: number, httpPort: number, componentPort: number | undefined): string {
  const knowsUs = componentPort !== undefined;
  return `
hosts: ["${domain}", "${otherDomain}"]
listen:
  - { port: ${clientPort}, ip: "127.0.0.1", module: ejabberd_c2s, access: all, shaper: none }
${knowsUs ? componentListener(componentPort) : ""}
  - port: ${httpPort}
    ip: "127.0.0.1"
    module: ejabberd_http
    request_handlers: { "/api": mod_http_api, "/bosh": mod_bosh, "/ws": ejabberd_http_ws }
auth_method: internal
acl:
  loopback: { ip: ["127.0.0.0/8"] }
  relay: { server: "${componentDomain}" }
access_rules: { relay_only: { allow: relay } }
api_permissions:
  local: { from: [mod_http_api], who: { access: { allow: [{ acl: loopback }] } }, what: ["register"] }
modules:
  mod_admin_extra: {}
  mod_bosh: {}
  mod_disco: {}
  mod_muc: { hosts: ["${roomsDomain}"] }
  mod_ping: {}
  mod_register: {}
  mod_roster: {}
${knowsUs ? delegation : ""}
`;
}

function componentListener(port: number): string {
  return `
  - port: ${port}
    ip: "127.0.0.1"
    module: ejabberd_service
    access: all
    shaper_rule: none
    hosts: { "${componentDomain}": { password: "${componentSecret}" } }`;
}

const delegation = `
  mod_delegation:
    namespaces:
      "urn:xmpp:extdisco:2": { access: relay_only }
      "urn:xmpp:extdisco:1": { access: relay_only }`;
