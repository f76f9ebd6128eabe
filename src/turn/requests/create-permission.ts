// CreatePermission: peers that may send to the client, and be sent to (RFC 8656 section 10.2). All of them or none.

import { familyOf } from "../../contract.ts";
import type { Allocation } from "../allocation.ts";
import { type AuthenticRequest, grant, type Outcome, refuse } from "../request.ts";
import { hasRouteRoom, type Turn } from "../turn.ts";

export function createPermission({ now, message }: AuthenticRequest, allocation: Allocation, turn: Turn): Outcome {
  const { xorPeerAddress: peers = [] } = message.attributes;
  if (peers.length === 0) return refuse(400);

  const addresses = new Set(peers.map((peer) => peer.address));
  for (const address of addresses) {
    if (allocation.relayFor(familyOf(address), now) === undefined) return refuse(443);
  }
  for (const address of addresses) {
    if (!turn.peers.mayPermit(address)) return refuse(403);
  }
  if (!allocation.hasRoomToPermit(addresses, now, turn.limits.permissionsPerAllocation)) return refuse(508);
  const added = [...addresses].filter((address) => !allocation.isPermitted(address, now));
  if (!added.every((address) => hasRouteRoom(allocation.relayFor(familyOf(address), now), turn))) return refuse(508);

  for (const address of addresses) allocation.permit(address, now);
  const routes = allocation.routes(now, addresses).map((legs) => ({ do: "route", legs }) as const);
  return grant({}, routes);
}
