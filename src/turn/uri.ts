// Where TURN and STUN are to be had, as clients are told (RFC 7065, RFC 7064).

import type { Transport } from "../contract.ts";

/** What stands for a transport: whether it is secured, and what it is below that. */
export const schemes = {
  udp: { turn: "turn", stun: "stun", below: "udp" },
  tcp: { turn: "turn", stun: "stun", below: "tcp" },
  tls: { turn: "turns", stun: "stuns", below: "tcp" },
  dtls: { turn: "turns", stun: "stuns", below: "udp" },
} as const satisfies Record<Transport, unknown>;

/** A listener as clients see it from outside. */
export interface Door {
  readonly transport: Transport;
  /** A domain name, or an IP address without brackets. */
  readonly host: string;
  readonly port: number;
}

export function turnUri({ transport, host, port }: Door): string {
  const { turn, below } = schemes[transport];
  return `${turn}:${place(host, port)}?transport=${below}`;
}

export function stunUri({ transport, host, port }: Door): string {
  return `${schemes[transport].stun}:${place(host, port)}`;
}

function place(host: string, port: number): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}
