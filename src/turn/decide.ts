// What an authentic request gets: what holds for all of them (RFC 8489 section 6.3.1, then RFC 8656 section 5), then what
// its method says.

import { Method } from "../stun/methods.ts";
import type { Allocation } from "./allocation.ts";
import { type AuthenticRequest, type Outcome, refuse, transactionOf } from "./request.ts";
import { allocate } from "./requests/allocate.ts";
import { channelBind } from "./requests/channel-bind.ts";
import { connect } from "./requests/connect.ts";
import { connectionBind } from "./requests/connection-bind.ts";
import { createPermission } from "./requests/create-permission.ts";
import { refresh } from "./requests/refresh.ts";
import { resume } from "./requests/resume.ts";
import type { Turn } from "./turn.ts";
import { isMalformed, unknownAttributes } from "./unknown-attributes.ts";

/** Every method that needs an allocation. */
const onAllocation: ReadonlyMap<number, (request: AuthenticRequest, allocation: Allocation, turn: Turn) => Outcome> =
  new Map([
    [Method.refresh, refresh],
    [Method.createPermission, createPermission],
    [Method.channelBind, channelBind],
    [Method.connect, connect],
  ]);

export function decide(request: AuthenticRequest, turn: Turn): Outcome {
  const { message, tuple, identity } = request;
  const unknown = unknownAttributes(message, turn.comprehends(tuple.on.transport));
  if (unknown.length > 0) return refuse(420, { unknownAttributes: unknown });
  if (isMalformed(message)) return refuse(400);
  if (turn.bans.holdsUser(identity.credential.user, request.now)) return refuse(403);
  if (message.method === Method.connectionBind) return connectionBind(request, turn);
  const onAllocationMethod = onAllocation.get(message.method);
  if (!onAllocationMethod) return allocate(request, turn);

  if (message.method === Method.refresh) {
    const replayed = turn.allocations.farewell(tuple, transactionOf(message));
    if (replayed) return { replayed };
    const { mobilityTicket } = message.attributes;
    if (mobilityTicket) return resume(request, mobilityTicket, turn);
  }
  const allocation = turn.allocations.find(tuple);
  if (!allocation?.isOpen) return refuse(437);
  if (allocation.username !== identity.username) return refuse(441);
  if (!allocation.admitsTransaction(request.now)) return { postponed: [] };
  return onAllocationMethod(request, allocation, turn);
}
