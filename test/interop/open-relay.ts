// A relay that takes clients by every transport, for clients of others, and what its own counters say of them.

import { readConfig } from "../../src/config/config.ts";
import type { DropReason, Transport } from "../../src/contract.ts";
import { type Relay, startRelay } from "../../src/relay.ts";
import { makeCertificate } from "../dataplane/certificate-files.ts";

export const users = { alice: "wonderland", bob: "builder" } as const;

export interface RelayWishes {
  /** Where the certificate goes, which names localhost. */
  readonly folder: string;
  readonly dataplane: string;
  readonly address: string;
  /** For UDP and for TCP, or the next that is free for both; 0 for any two. */
  readonly port?: number;
  /** Or the next that is free; 0 for any. */
  readonly tlsPort?: number;
  /** Where it sends everybody. */
  readonly alternate?: Relay;
}

/** With the quotas and limits of a fresh install. Peers may be on loopback. */
export function openRelay(wishes: RelayWishes): Promise<Relay> {
  const { folder, dataplane, address, port = 0, tlsPort = 0, alternate } = wishes;
  const at = alternate?.listeners.map(({ transport, at }) => `${transport}://${at.address}:${at.port}`);
  const flags = {
    listen: [`udp://${address}:${port}`, `tcp://${address}:${port}`, `tls://${address}:${tlsPort}`],
    tls: makeCertificate(folder, ["localhost"]),
    user: users,
    dataplane,
    loopback: true,
    "relay-address": address,
    "alternate-servers": { when: "always", servers: at ? [{ at }] : [] },
    metrics: "none",
    log: { level: "silent" },
  };
  return startRelay(readConfig({ flags }), { mayMovePorts: true });
}

export function portOf({ listeners }: Relay, transport: Transport): number {
  return listeners.find((each) => each.transport === transport)?.at.port ?? 0;
}

/** Packets relayed so far for clients that came by this transport: each way, the fewer of both. */
export function packetsBothWays(relay: Relay, transport: Transport): number {
  const sum = (wanted: string) =>
    relay
      .counters()
      .relayed.filter((row) => row.transport === transport && row.direction === wanted)
      .reduce((total, { packets }) => total + packets, 0);
  return Math.min(sum("to-peer"), sum("to-client"));
}

/** Why packets were lost so far, and how many; but for what came from where nobody has permission, as ICE tries. */
export function losses(relay: Relay): Partial<Record<DropReason, number>> {
  const { "no-permission": _, ...others } = relay.counters().dropped;
  return Object.fromEntries(Object.entries(others).filter(([, count]) => count > 0));
}
