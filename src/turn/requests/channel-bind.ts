// ChannelBind: a number for a peer, and a permission for it (RFC 8656 section 12.2).

import { familyOf } from "../../contract.ts";
import { firstChannel, lastChannel } from "../../stun/channel-data.ts";
import type { Allocation } from "../allocation.ts";
import { type AuthenticRequest, grant, type Outcome, refuse } from "../request.ts";
import { hasRouteRoom, type Turn } from "../turn.ts";

export function channelBind({ now, message }: AuthenticRequest, allocation: Allocation, turn: Turn): Outcome {
  const { channelNumber: number, xorPeerAddress: [peer] = [] } = message.attributes;
  if (number === undefined || peer === undefined) return refuse(400);
  if (number < firstChannel || number > lastChannel) return refuse(400);
  // RFC 6062 has neither channels nor indications.
  if (allocation.transport === "tcp") return refuse(400);
  if (!allocation.isBindable(number, peer, now)) return refuse(400);
  const relay = allocation.relayFor(familyOf(peer.address), now);
  if (relay === undefined) return refuse(443);
  if (!turn.peers.mayPermit(peer.address, peer.port)) return refuse(403);

  const { permissionsPerAllocation, channelsPerAllocation } = turn.limits;
  const addresses = new Set([peer.address]);
  if (!allocation.hasRoomToBind(number, now, channelsPerAllocation)) return refuse(508);
  if (!allocation.hasRoomToPermit(addresses, now, permissionsPerAllocation)) return refuse(508);
  if (!allocation.peerOf(number, now) && !hasRouteRoom(relay, turn)) return refuse(508);

  allocation.bind(number, peer, now);
  const routes = allocation.routes(now, addresses).map((legs) => ({ do: "route", legs }) as const);
  return grant({}, routes);
}
