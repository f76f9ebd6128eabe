// Allocate: a relayed transport address (RFC 8656 section 7.2). The answer comes when a plane has opened the port, and
// with it the next one if that is to be reserved.

import type { Action, Endpoint, Millis, SocketId } from "../../contract.ts";
import { Allocation } from "../allocation.ts";
import { desiredLifetime } from "../lifetime.ts";
import { type AuthenticRequest, type Outcome, type Refusal, refuse, transactionOf } from "../request.ts";
import type { Reservation } from "../reservations.ts";
import type { Opening, Turn } from "../turn.ts";

/** IP protocol number. */
const udp = 17;

export function allocate(request: AuthenticRequest, turn: Turn): Outcome {
  const { now, message, tuple, identity } = request;
  const { requestedTransport, requestedAddressFamily = 4, evenPort, lifetime } = message.attributes;
  const transaction = transactionOf(message);

  // Step 2; the last note of the section is about retransmissions.
  const existing = turn.allocations.find(tuple);
  if (existing && existing.transaction !== transaction) return refuse(437);
  if (existing) return existing.answer ? { replayed: existing.answer } : { postponed: [] };

  // Step 3.
  if (requestedTransport === undefined) return refuse(400);
  if (requestedTransport !== udp) return refuse(442);

  // Steps 4, 6 and 9 are about attributes that we do not comprehend. Step 5.
  const reservation = reservationOf(request, turn);
  if (reservation && "refused" in reservation) return reservation;

  // Step 7.
  const family = turn.families.find((family) => family === (reservation?.family ?? requestedAddressFamily));
  if (family === undefined) return refuse(440);

  // Step 10.
  const refusal = refusalByQuota(request, turn);
  if (refusal) return refusal;

  const relay = reservation?.relay ?? turn.newSocketId();
  const allocation = new Allocation({ tuple, relay, family, identity, transaction });
  allocation.prolong(now, desiredLifetime(lifetime));
  turn.allocations.add(allocation);
  if (reservation) {
    turn.reservations.take(reservation);
    return allocated(now, { allocation, request }, reservation.relayed, turn);
  }
  turn.openings.set(relay, { allocation, request });
  return { postponed: [openRelay(allocation, relay, evenPort && "even")] };
}

/** What the request has a token for, if it has one. */
function reservationOf({ message, identity }: AuthenticRequest, turn: Turn): Reservation | Refusal | undefined {
  const { reservationToken: token, evenPort, requestedAddressFamily } = message.attributes;
  if (token === undefined) return undefined;
  if (evenPort || requestedAddressFamily !== undefined) return refuse(400);
  return turn.reservations.find(token, identity.credential.user) ?? refuse(508);
}

/** A port is open: the allocation's own, or the one above it. */
export function opened(now: Millis, relay: SocketId, opening: Opening, at: Endpoint, turn: Turn): Outcome {
  const { allocation, request, relayed } = opening;
  const reservesNext = request.message.attributes.evenPort?.reservesNext ?? false;
  if (!reservesNext) return allocated(now, opening, at, turn);
  if (relayed) {
    const { family, user } = allocation;
    return allocated(now, opening, relayed, turn, turn.reservations.add(now, { relay, family, relayed: at, user }));
  }
  const next = turn.newSocketId();
  turn.openings.set(next, { ...opening, relayed: at });
  return { postponed: [openRelay(allocation, next, at.port + 1)] };
}

/** Every port of an opening that comes to nothing, but the one that did not open. */
export function abandon({ allocation, relayed }: Opening): Action[] {
  return relayed ? [{ do: "close-relay", relay: allocation.relay }] : [];
}

/** The answer, now that all is open. The lifetime begins here. */
function allocated(
  now: Millis,
  { allocation, request }: Opening,
  relayed: Endpoint,
  turn: Turn,
  reservation?: Reservation,
): Outcome {
  const { tuple, relay, user } = allocation;
  allocation.relayed = relayed;
  const lifetime = allocation.prolong(now, desiredLifetime(request.message.attributes.lifetime));
  turn.allocations.file(allocation);
  const opened: Action = {
    do: "report",
    fact: {
      fact: "allocation-opened",
      relay,
      user,
      transport: tuple.on.transport,
      client: tuple.from,
      relayed,
    },
  };
  return {
    granted: {
      xorRelayedAddress: [relayed],
      lifetime,
      reservationToken: reservation?.token,
      xorMappedAddress: tuple.from,
      software: turn.software,
    },
    actions: [opened],
    keep: (answer) => {
      allocation.answer = answer;
    },
  };
}

/** Reserved ports are ports: a user has no more of them than of allocations, and neither has everyone together. */
function refusalByQuota({ message, tuple, identity }: AuthenticRequest, turn: Turn): Refusal | undefined {
  const { user } = identity.credential;
  const refusal = turn.allocations.refusalOfOneMore(user, tuple);
  if (refusal || !message.attributes.evenPort?.reservesNext) return refusal;
  if (turn.reservations.countOf(user) >= turn.limits.allocationsPerUser) return refuse(486);
  return turn.reservations.size >= turn.limits.allocations ? refuse(508) : undefined;
}

function openRelay({ tuple, family }: Allocation, relay: SocketId, port?: "even" | number): Action {
  return { do: "open-relay", relay, family, via: tuple.via, client: tuple.from, port };
}
