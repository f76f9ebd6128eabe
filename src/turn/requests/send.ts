// Send: data for a peer that has a permission (RFC 8656 section 11.2). What is wrong with it is discarded in silence.

import { type Action, familyOf } from "../../contract.ts";
import { settle } from "../moving.ts";
import type { Request } from "../request.ts";
import type { Turn } from "../turn.ts";
import { isMalformed, unknownAttributes } from "../unknown-attributes.ts";

export function send({ now, message, tuple }: Request, turn: Turn): Action[] {
  const { xorPeerAddress: [peer] = [], data } = message.attributes;
  if (peer === undefined || data === undefined || isMalformed(message)) return [];
  if (unknownAttributes(message, turn.comprehends(tuple.on.transport)).length > 0) return [];

  const allocation = turn.allocations.find(tuple);
  if (allocation?.transport !== "udp") return [];
  const arrived = settle(allocation, tuple, now, turn.allocations);
  const relay = allocation.relayFor(familyOf(peer.address), now);
  if (relay === undefined || !allocation.isPermitted(peer.address, now)) return arrived;
  if (!turn.peers.mayPermit(peer.address, peer.port)) return arrived;
  // Between UDP of IPv4 and IPv4 alone: else it is ignored (RFC 8656 sections 13 and 14).
  const isHeeded = [tuple.from, peer].every(({ address }) => familyOf(address) === 4);
  const unbroken = message.attributes.dontFragment && isHeeded ? ({ dontFragment: true } as const) : {};
  return [...arrived, { do: "send", via: relay, to: peer, bytes: data, ...unbroken }];
}
