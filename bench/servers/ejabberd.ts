// The STUN and TURN server of ejabberd (p1_stun), without the XMPP server around it.

import { existsSync } from "node:fs";
import type { Endpoint } from "../../src/contract.ts";
import { account, type Place, relayPorts } from "./place.ts";
import type { Program } from "./stage.ts";

const needed = ["/usr/bin/erl", "/usr/share/doc/erlang-p1-stun"];

export function whyNoEjabberd(): string | undefined {
  return needed.every((path) => existsSync(path)) ? undefined : "apt-get install ejabberd";
}

export function startEjabberd({ stage, topology, at, folder }: Place): Program {
  const listeners = ["udp", "tcp"].map((transport) => `ok = stun_listener:add_listener(${listenerOf(at, transport)})`);
  const program = ["{ok, _} = application:ensure_all_started(stun)", ...listeners].join(", ");
  return stage.start([...topology.asServer, "erl", "-noinput", "-noshell", "-eval", `${program}.`], { folder });
}

/** Address, port, transport and options, as Erlang terms. */
function listenerOf({ address, port }: Endpoint, transport: string): string {
  const ip = `{${address.replaceAll(".", ",")}}`;
  const options = [
    "{use_turn, true}",
    `{turn_ipv4_address, ${ip}}`,
    `{turn_min_port, ${relayPorts.first}}`,
    `{turn_max_port, ${relayPorts.last}}`,
    "{turn_max_allocations, infinity}",
    "{turn_max_permissions, infinity}",
    "{turn_blacklist, []}",
    "{shaper, none}",
    "{auth_type, user}",
    `{auth_realm, <<"${account.realm}">>}`,
    `{auth_fun, fun(_, _) -> <<"${account.password}">> end}`,
  ];
  return `${ip}, ${port}, ${transport}, [${options.join(", ")}]`;
}
