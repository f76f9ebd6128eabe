// ChannelData that no route took, since its client has only just come from elsewhere (RFC 8016 section 3.2.2). What
// comes after it has a route.

import { type Action, familyOf, type Millis } from "../../contract.ts";
import { readChannelData } from "../../stun/channel-data.ts";
import { settle } from "../moving.ts";
import type { FiveTuple } from "../request.ts";
import type { Turn } from "../turn.ts";

export function channelData(now: Millis, tuple: FiveTuple, bytes: Uint8Array, turn: Turn): Action[] {
  const data = readChannelData(bytes);
  const allocation = turn.allocations.find(tuple);
  if (!data || !allocation) return [];
  const arrived = settle(allocation, tuple, now, turn.allocations);
  const peer = allocation.peerOf(data.channel, now);
  if (!peer) return arrived;
  const relay = allocation.relayFor(familyOf(peer.address), now);
  if (relay === undefined || !allocation.isPermitted(peer.address, now)) return arrived;
  if (!turn.peers.mayPermit(peer.address, peer.port)) return arrived;
  return [...arrived, { do: "send", via: relay, to: peer, bytes: data.payload }];
}
