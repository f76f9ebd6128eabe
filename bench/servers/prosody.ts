// One Prosody with two domains that answer XEP-0215: one by its own mod_external_services, one by delegating to Sluice.

import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { stringify } from "yaml";
import type { Program, Stage } from "./stage.ts";

const program = "/usr/bin/prosody";
const modules = "/usr/lib/prosody/modules";
const main = fileURLToPath(new URL("../../../../dist/main.js", import.meta.url));
const secret = "bench";
const component = "relay.delegating.test";

/** Domain → who answers there. */
export const answering = { own: "own.test", delegating: "delegating.test" } as const;
export const account = { username: "bench", password: "bench" } as const;

export interface Ports {
  readonly clients: number;
  readonly components: number;
}

export function whyNoProsody(): string | undefined {
  if (!existsSync(program)) return "there is no prosody: apt-get install prosody";
  if (!existsSync(join(modules, "mod_delegation"))) return "apt-get install prosody-modules";
  return existsSync(main) ? undefined : "npm run build";
}

export function startProsody(stage: Stage, ports: Ports): Program {
  const folder = stage.newFolder("prosody");
  for (const domain of Object.values(answering)) {
    const accounts = join(folder, "data", domain.replaceAll(".", "%2e"), "accounts");
    mkdirSync(accounts, { recursive: true });
    writeFileSync(join(accounts, `${account.username}.dat`), `return { ["password"] = "${account.password}"; };\n`);
  }
  const file = join(folder, "prosody.cfg.lua");
  writeFileSync(file, configuration(folder, ports));
  return stage.start([program, "--config", file, "-F"], { folder });
}

/** The component, with as many services as Prosody has, and without a limit on what an account may ask. */
export function startComponent(stage: Stage, { components }: Ports): Program {
  const folder = stage.newFolder("component");
  const file = join(folder, "sluice.yaml");
  const config = {
    listen: ["udp://127.0.0.1:0", "tcp://127.0.0.1:0"],
    secret,
    "relay-address": ["127.0.0.1"],
    dataplane: "portable",
    metrics: "none",
    loopback: true,
    xmpp: {
      service: `xmpp://127.0.0.1:${components}`,
      domain: component,
      secret,
      rate: { "stanzas-per-second": 1_000_000_000, burst: 1_000_000_000 },
    },
    log: { level: "warn" },
    state: folder,
  };
  writeFileSync(file, stringify(config));
  return stage.start([process.execPath, main, "serve", "--config", file], { folder });
}

function configuration(folder: string, { clients, components }: Ports): string {
  return `
run_as_root = true
pidfile = "${folder}/prosody.pid"
data_path = "${folder}/data"
plugin_paths = { "${modules}" }
log = { warn = "*console" }
interfaces = { "127.0.0.1" }
c2s_ports = { ${clients} }
s2s_ports = { }
component_ports = { ${components} }
component_interfaces = { "127.0.0.1" }
modules_disabled = { "s2s" }
authentication = "internal_plain"
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
modules_enabled = { "saslauth", "disco" }

VirtualHost "${answering.own}"
  modules_enabled = { "external_services" }
  external_service_secret = "${secret}"
  external_services = {
    { type = "stun", transport = "udp", host = "127.0.0.1", port = 3478 },
    { type = "turn", transport = "udp", host = "127.0.0.1", port = 3478, secret = true, ttl = 43200, algorithm = "turn" },
    { type = "turn", transport = "tcp", host = "127.0.0.1", port = 3478, secret = true, ttl = 43200, algorithm = "turn" },
  }

VirtualHost "${answering.delegating}"
  modules_enabled = { "delegation" }
  delegations = { ["urn:xmpp:extdisco:2"] = { jid = "${component}" } }

Component "${component}"
  component_secret = "${secret}"
  modules_enabled = { "delegation" }
`;
}
