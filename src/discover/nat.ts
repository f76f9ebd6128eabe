// What a NAT does, found by asking (RFC 5780 section 4), and what RFC 3489 called it.

import { type Endpoint, isSameEndpoint } from "../contract.ts";
import { brisk, type Echo, type Port, type Prober } from "./prober.ts";

/** On what a mapping depends, or what may come in through one (RFC 4787 sections 4.1 and 5). */
export type Dependence = "endpoint-independent" | "address-dependent" | "address-and-port-dependent";

export type NatName =
  | "udp-blocked"
  | "none"
  | "symmetric-firewall"
  | "full-cone"
  | "address-restricted"
  | "port-restricted"
  | "symmetric"
  /** There is one or none, but the server does not help to find out more. */
  | "unknown";

export interface NatFindings {
  readonly nat: NatName;
  readonly local: Endpoint;
  /** As the server sees us. */
  readonly mapped?: Endpoint | undefined;
  readonly mapping?: Dependence | undefined;
  readonly filtering?: Dependence | undefined;
  /** Whether we reach ourselves at our mapped address. Without a NAT there is nothing to ask. */
  readonly hairpin?: boolean | undefined;
}

/** Asks a server that has another address and port beside its own; of one that has not, little is learnt. */
export async function findNat(prober: Prober, server: Endpoint): Promise<NatFindings> {
  const port = await prober.open();
  const { local } = port;
  const first = await prober.ask(port, server);
  const { mapped, other } = first ?? {};
  if (!mapped) return { nat: first ? "unknown" : "udp-blocked", local };

  const isMapped = !isSameEndpoint(mapped, local);
  // Before the mapping, which is found by talking to the other address: a NAT then lets it in.
  const [filtering, hairpin] = await Promise.all([
    other && findFiltering(prober, server),
    isMapped ? findHairpin(prober, server) : undefined,
  ]);
  const mapping = isMapped
    ? other && (await findMapping(prober, port, mapped, { server, other }))
    : "endpoint-independent";
  return { nat: nameOf(isMapped, mapping, filtering), local, mapped, mapping, filtering, hairpin };
}

/** Section 4.3, tests II and III. `mapped` is what test I found at this port. */
async function findMapping(
  prober: Prober,
  port: Port,
  mapped: Endpoint,
  { server, other }: { server: Endpoint; other: Endpoint },
): Promise<Dependence | undefined> {
  const second = await prober.ask(port, { address: other.address, port: server.port });
  if (!second?.mapped) return undefined;
  if (isSameEndpoint(second.mapped, mapped)) return "endpoint-independent";
  const third = await prober.ask(port, other);
  if (!third?.mapped) return undefined;
  return isSameEndpoint(third.mapped, second.mapped) ? "address-dependent" : "address-and-port-dependent";
}

/** Section 4.4, tests II and III, each from a port of its own, so that they need not wait for each other. */
async function findFiltering(prober: Prober, server: Endpoint): Promise<Dependence | undefined> {
  const [second, third] = await Promise.all([
    askForChange(prober, server, "address-and-port"),
    askForChange(prober, server, "port"),
  ]);
  if (second === "ignored" || third === "ignored") return undefined;
  if (second === "answered") return "endpoint-independent";
  return third === "answered" ? "address-dependent" : "address-and-port-dependent";
}

/** `ignored` when the server did not do as it was asked. */
async function askForChange(
  prober: Prober,
  server: Endpoint,
  change: "address-and-port" | "port",
): Promise<"answered" | "silent" | "ignored"> {
  const port = await prober.open();
  const opening = await prober.ask(port, server);
  if (!opening) return "ignored";
  const echo = await prober.ask(port, server, { change }, brisk);
  if (!echo) return "silent";
  return echo.class === "success" && isChanged(echo, server, change) ? "answered" : "ignored";
}

function isChanged({ from }: Echo, server: Endpoint, change: "address-and-port" | "port"): boolean {
  return from.port !== server.port && (from.address !== server.address) === (change === "address-and-port");
}

/** From the mapped port to itself, so that no filter stands in the way. */
async function findHairpin(prober: Prober, server: Endpoint): Promise<boolean | undefined> {
  const port = await prober.open();
  const mapped = (await prober.ask(port, server))?.mapped;
  if (!mapped) return undefined;
  const echo = await prober.ask(port, mapped, {}, brisk);
  return echo?.class === "request";
}

function nameOf(isMapped: boolean, mapping: Dependence | undefined, filtering: Dependence | undefined): NatName {
  if (isMapped && mapping !== undefined && mapping !== "endpoint-independent") return "symmetric";
  if (mapping === undefined || filtering === undefined) return "unknown";
  if (!isMapped) return filtering === "endpoint-independent" ? "none" : "symmetric-firewall";
  return coneNames[filtering];
}

const coneNames = {
  "endpoint-independent": "full-cone",
  "address-dependent": "address-restricted",
  "address-and-port-dependent": "port-restricted",
} as const satisfies Record<Dependence, NatName>;
