// Refresh with a ticket: the client of an allocation is elsewhere now and wants to keep it (RFC 8016 section 3.2, from
// coturn's summary of it and from memory). The answer may be lost, so nothing moves before there is more from there.

import type { Allocation } from "../allocation.ts";
import { expectAt } from "../moving.ts";
import {
  type AuthenticRequest,
  type FiveTuple,
  type Outcome,
  type Refusal,
  refuse,
  transactionOf,
} from "../request.ts";
import type { Turn } from "../turn.ts";
import { refresh } from "./refresh.ts";

export function resume(request: AuthenticRequest, sealed: Uint8Array, turn: Turn): Outcome {
  const { now, tuple, message, identity } = request;
  const { allocations, tickets } = turn;
  if (!tickets) return refuse(405);
  const ticket = tickets.open(sealed);
  if (!ticket) return refuse(437);
  const allocation = allocations.findRoaming(ticket.number);
  const roaming = allocation?.roaming;
  if (!roaming || !allocation.lives(now)) return refuse(437);
  if (allocation.username !== identity.username) return refuse(441);
  const replayed = roaming.answerTo(tuple, transactionOf(message));
  if (replayed) return { replayed };
  if (!roaming.accepts(ticket.issue)) return refuse(437);
  const refusal = refusalToMove(allocation, tuple, turn);
  if (refusal) return refusal;
  if (!allocation.admitsTransaction(now)) return { postponed: [] };

  const outcome = refresh(request, allocation, turn);
  if (!("granted" in outcome) || message.attributes.lifetime === 0) return outcome;
  const { issue, actions } = expectAt(tuple, ticket.issue, { now, allocation, roaming, allocations });
  return {
    granted: { ...outcome.granted, mobilityTicket: tickets.seal({ number: ticket.number, issue }) },
    actions: [...outcome.actions, ...actions],
    keep: (answer) => roaming.keep(tuple, transactionOf(message), answer),
  };
}

function refusalToMove(allocation: Allocation, to: FiveTuple, turn: Turn): Refusal | undefined {
  const there = turn.allocations.find(to);
  if (there && there !== allocation) return refuse(437);
  const { tuple, roaming } = allocation;
  // It has not gone anywhere; unless it had, and is back.
  if (tuple.key === to.key) return roaming?.next ? undefined : refuse(400);
  const [from, onto] = [tuple.on.transport, to.on.transport];
  if (!turn.abilities.movesAmong.some((group) => group.includes(from) && group.includes(onto))) return refuse(405);
  return turn.allocations.refusalToMove(allocation, to);
}
