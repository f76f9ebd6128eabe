// Everything there is to find out about the way to a server: over UDP, TCP and TLS.

import { lookup } from "node:dns/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { type Endpoint, type Family, Unavailable } from "../contract.ts";
import { findLifetime, type Lifetime } from "./lifetime.ts";
import { findNat, type NatFindings } from "./nat.ts";
import { Prober, type Sleep } from "./prober.ts";
import { askOverTcp, askOverTls, type StreamFindings } from "./stream.ts";
import { udpPortsTowards } from "./udp-port.ts";

export interface DiscoverOptions {
  /** A name or an address. */
  readonly host: string;
  readonly port: number;
  readonly tlsPort: number;
  /** Of the server's address. Without it IPv4 comes first, for that is where NATs are. */
  readonly family?: Family | undefined;
  /** Whether to find out how long mappings live, which takes five minutes. */
  readonly asksLifetime: boolean;
}

export interface Discovery {
  readonly server: Endpoint;
  readonly udp: NatFindings & { readonly lifetime?: Lifetime | undefined };
  readonly tcp: StreamFindings;
  readonly tls: StreamFindings;
}

/** Rejects with `Unavailable` when the host has no address, or there is no way to it. */
export async function discover({ host, port, tlsPort, family, asksLifetime }: DiscoverOptions): Promise<Discovery> {
  const address = await addressOf(host, family);
  const server = { address, port };
  const wait: Sleep = (millis, signal) => sleep(millis, undefined, { signal });
  const [udp, tcp, tls] = await Promise.all([
    overUdp(server, asksLifetime, wait),
    askOverTcp(server, wait),
    askOverTls({ address, port: tlsPort }, host, wait),
  ]);
  return { server, udp, tcp, tls };
}

async function overUdp(server: Endpoint, asksLifetime: boolean, wait: Sleep): Promise<Discovery["udp"]> {
  const prober = new Prober(await udpPortsTowards(server), wait);
  try {
    const findings = await findNat(prober, server);
    if (!asksLifetime || !findings.mapped) return findings;
    return { ...findings, lifetime: await findLifetime(prober, server, wait) };
  } finally {
    await prober.close();
  }
}

async function addressOf(host: string, family: Family | undefined): Promise<string> {
  try {
    return (await lookup(host, family ? { family } : { order: "ipv4first" })).address;
  } catch (cause) {
    throw new Unavailable(`${host} has no ${family ? `IPv${family} ` : ""}address`, { cause });
  }
}
