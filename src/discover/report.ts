// What was found out, as a person reads it.

import { endpointText } from "../contract.ts";
import type { Discovery } from "./discover.ts";
import type { Lifetime } from "./lifetime.ts";
import type { Dependence, NatName } from "./nat.ts";
import type { StreamFindings } from "./stream.ts";

/** Its name, and what it means for a call. */
const names: Readonly<Record<NatName, readonly [name: string, meaning: string]>> = {
  "udp-blocked": ["UDP is blocked", "Nothing comes back over UDP: calls need a relay over TCP or TLS."],
  none: ["none", "Anybody can reach this host directly."],
  "symmetric-firewall": [
    "none, but a firewall (symmetric)",
    "Others reach this host once it has sent to them: direct calls work.",
  ],
  "full-cone": ["full cone", "Anybody can reach this host at its public address, while it keeps that in use."],
  "address-restricted": [
    "address-restricted cone",
    "Others reach this host once it has sent to their address: direct calls work.",
  ],
  "port-restricted": [
    "port-restricted cone",
    "Others reach this host once it has sent to them: direct calls work, except with those behind a symmetric NAT.",
  ],
  symmetric: ["symmetric", "Its public address differs for each peer: most direct calls fail, and need a relay."],
  unknown: ["unknown", "The server does not help to find out (no NAT discovery of RFC 5780)."],
};

const dependences: Readonly<Record<Dependence, string>> = {
  "endpoint-independent": "endpoint-independent",
  "address-dependent": "address-dependent",
  "address-and-port-dependent": "address and port-dependent",
};

export function report({ server, udp, tcp, tls }: Discovery): string {
  const [name, meaning] = names[udp.nat];
  const rows: [string, string | undefined][] = [
    ["Server", endpointText(server)],
    ["Local address", endpointText(udp.local)],
    ["Public address", udp.mapped && endpointText(udp.mapped)],
    ["NAT", name],
    ["  mapping", udp.mapping && dependences[udp.mapping]],
    ["  filtering", udp.filtering && dependences[udp.filtering]],
    ["  hairpin", udp.hairpin === undefined ? undefined : udp.hairpin ? "yes" : "no"],
    ["  binding lifetime", udp.lifetime && lifetimeText(udp.lifetime)],
    ["Over TCP", streamText(tcp)],
    ["Over TLS", streamText(tls)],
  ];
  const lines = rows.flatMap(([label, value]) => (value === undefined ? [] : [`${label.padEnd(20)}${value}`]));
  return [...lines, "", meaning, ""].join("\n");
}

function lifetimeText({ atLeastSeconds, lessThanSeconds }: Lifetime): string {
  return lessThanSeconds === undefined ? `${atLeastSeconds} s or more` : `${atLeastSeconds} to ${lessThanSeconds} s`;
}

function streamText({ mapped, failure, certificate }: StreamFindings): string {
  const trust = certificate === undefined ? "" : `, certificate ${certificate}`;
  return mapped ? `${endpointText(mapped)}${trust}` : (failure ?? "");
}
