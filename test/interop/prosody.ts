// A real Prosody (Debian packages prosody and prosody-modules) that delegates XEP-0215 to our component.

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

export async function prosody({ knowsUs = true } = {}): Promise<XmppServer> {
  const folder = newFolder("prosody");
  const [clientPort = 0, componentPort = 0, httpPort = 0] = await freePorts(3);
  const config = join(folder, "prosody.cfg.lua");
  writeFileSync(config, configuration(folder, clientPort, componentPort, httpPort) + hosts(knowsUs));
  addUser(folder, domain, "alice");
  addUser(folder, domain, "bob");
  addUser(folder, otherDomain, "mallory");

  const args = ["--config", config, "-F"];
  const server = new ServerProcess({ program: "prosody", args, folder, ports: [clientPort, componentPort, httpPort] });
  return {
    name: "Prosody",
    config,
    delegation: "urn:xmpp:delegation:2",
    clients: `xmpp://127.0.0.1:${clientPort}`,
    components: `xmpp://127.0.0.1:${componentPort}`,
    bosh: `http://127.0.0.1:${httpPort}/http-bind`,
    webSocket: `ws://127.0.0.1:${httpPort}/xmpp-websocket`,
    start: () => server.start(),
    addUser: async (name) => addUser(folder, domain, name),
    stop: () => server.stop(),
    discard: () => server.discard(),
  };
}

/** Prosody encodes the bytes of a host's name that are not letters or digits in its folders' names. */
function addUser(folder: string, host: string, user: string): void {
  const accounts = join(
    folder,
    "data",
    host.replace(/[^a-z0-9]/g, (byte) => `%${byte.charCodeAt(0).toString(16)}`),
    "accounts",
  );
  mkdirSync(accounts, { recursive: true });
  writeFileSync(join(accounts, `${user}.dat`), `return { ["password"] = "${password}"; };\n`);
}

function configuration(folder: string, clientPort: number, componentPort: number, httpPort: number): string {
  return `
run_as_root = ${process.getuid?.() === 0}
pidfile = "${folder}/prosody.pid"
data_path = "${folder}/data"
plugin_paths = { "/usr/lib/prosody/modules" }
log = { info = "${folder}/prosody.log" }
interfaces = { "127.0.0.1" }
c2s_ports = { ${clientPort} }
s2s_ports = { }
component_ports = { ${componentPort} }
component_interfaces = { "127.0.0.1" }
modules_disabled = { "s2s" }
authentication = "internal_plain"
c2s_require_encryption = false
c2s_stanza_size_limit = 1048576
allow_unencrypted_plain_auth = true
http_ports = { ${httpPort} }
http_interfaces = { "127.0.0.1" }
https_ports = { }
http_default_host = "${domain}"
modules_enabled = { "roster", "saslauth", "disco", "ping", "bosh", "websocket", "user_account_management" }
`;
}

function hosts(knowsUs: boolean): string {
  if (!knowsUs) return `\nVirtualHost "${domain}"\nVirtualHost "${otherDomain}"\n`;
  return `
VirtualHost "${domain}"
  modules_enabled = { "delegation", "privilege" }
  delegations = {
    ["urn:xmpp:extdisco:2"] = { jid = "${componentDomain}" },
    ["urn:xmpp:extdisco:1"] = { jid = "${componentDomain}" },
  }
  privileged_entities = { ["${componentDomain}"] = { iq = { ["urn:xmpp:extdisco:2"] = "set" } } }

VirtualHost "${otherDomain}"

Component "${roomsDomain}" "muc"

Component "${componentDomain}"
  component_secret = "${componentSecret}"
  modules_enabled = { "delegation", "privilege" }
`;
}
