// ICMP errors for what went to peers: the client is told in a Data indication (RFC 8656 sections 11.5 and 18.13).

import { createHash } from "node:crypto";
import { type Action, type Endpoint, familyOf, type Input, type Millis } from "../../contract.ts";
import { encode } from "../../stun/message.ts";
import { Method } from "../../stun/methods.ts";
import type { Turn } from "../turn.ts";

type IcmpError = Extract<Input, { is: "icmp" }>;

/** Destination unreachable and time exceeded; over IPv6, packet too big as well. */
const types = { 4: [3, 11], 6: [1, 2, 3] } as const;

export function icmp(now: Millis, error: IcmpError, turn: Turn): Action[] {
  const { relay, peer, type, code } = error;
  const allocation = turn.allocations.findByRelay(relay);
  const family = familyOf(peer.address);
  const isRelayed = types[family].some((each) => each === type);
  if (!isRelayed || !allocation?.hasClient) return [];
  if (allocation.relayFor(family, now) !== relay || !allocation.isPermitted(peer.address, now)) return [];
  const { via, from: to } = allocation.tuple;
  const data = tellsMtu(error) ? error.data : 0;
  const bytes = encode({
    class: "indication",
    method: Method.data,
    transactionId: transactionIdOf(now, error, peer),
    attributes: { xorPeerAddress: [peer], icmp: { type, code, data } },
  });
  return [{ do: "send", via, to, bytes }];
}

function tellsMtu({ peer, type, code }: IcmpError): boolean {
  return familyOf(peer.address) === 4 ? type === 3 && code === 4 : type === 2;
}

/** Nobody waits for an indication, so it does no harm if its id can be foreseen. */
function transactionIdOf(now: Millis, { relay, type, code }: IcmpError, peer: Endpoint): Uint8Array {
  const text = `icmp ${now} ${relay} ${peer.address} ${peer.port} ${type} ${code}`;
  return createHash("sha256").update(text).digest().subarray(0, 12);
}
