// Allocate: whether there is to be a relayed transport address, or one of each family (RFC 8656 section 7.2). The answer
// comes when a plane has opened the ports (opening.ts).

import type { Action, Family } from "../../contract.ts";
import { Method } from "../../stun/methods.ts";
import { Allocation } from "../allocation.ts";
import { desiredLifetime } from "../lifetime.ts";
import { allocated, isDual, open } from "../opening.ts";
import {
  type AuthenticRequest,
  isOnStream,
  type Outcome,
  type Refusal,
  type Request,
  refuse,
  transactionOf,
} from "../request.ts";
import type { Reservation } from "../reservations.ts";
import type { Turn } from "../turn.ts";

/** IP protocol numbers. */
const udp = 17;
const tcp = 6;

export function allocate(request: AuthenticRequest, turn: Turn): Outcome {
  const { now, message, tuple, identity } = request;
  const { evenPort, lifetime } = message.attributes;
  const transaction = transactionOf(message);

  // Step 2; the last note of the section is about retransmissions.
  const existing = turn.allocations.find(tuple);
  if (existing) return existing.transaction === transaction ? again(existing) : refuse(437);

  // Step 3.
  const transport = transportOf(request, turn);
  if (typeof transport === "object") return transport;

  const immobility = refusalOfMobility(request, turn);
  if (immobility) return immobility;

  // Step 4 is about an attribute that we do not comprehend. Step 5.
  const reservation = reservationOf(request, turn);
  if (reservation && "refused" in reservation) return reservation;

  // Step 11. A port that is reserved is here.
  const elsewhere = reservation ? undefined : turn.alternates.refusalOf(request);
  if (elsewhere) return elsewhere;

  const family = reservation?.family ?? firstFamily(request, turn);
  if (typeof family === "object") return family;

  // Step 10.
  const refusal = refusalByQuota(request, turn);
  if (refusal) return refusal;

  const openBy = now + desiredLifetime(lifetime) * 1000;
  const allocation = new Allocation({ tuple, transport, identity, transaction, since: now, openBy });
  turn.allocations.add(allocation);
  const opening = { allocation, request, family, ports: [] };
  if (!reservation) return open(opening, turn, evenPort && "even");
  turn.reservations.take(reservation);
  const grant = allocated(now, { ...opening, ports: [reservation] }, turn);
  const assignment: Action = { do: "assign-relay", relay: reservation.relay, via: tuple.via };
  return { ...grant, actions: [assignment, ...grant.actions] };
}

/** Where a first Allocate is sent at once, before anybody is asked for credentials. */
export function redirectionOfStranger(request: Request, turn: Turn): Refusal | undefined {
  const { message, tuple } = request;
  const { messageIntegrity, messageIntegritySha256, reservationToken } = message.attributes;
  const hasShown = messageIntegrity ?? messageIntegritySha256 ?? reservationToken;
  const isFirst = message.method === Method.allocate && hasShown === undefined;
  if (!isFirst || turn.allocations.find(tuple)) return undefined;
  return turn.alternates.refusalOfStranger(request, turn.allocations.isFull);
}

/** The answer to a retransmission: what the first one got, if that is known already. */
function again({ answer }: Allocation): Outcome {
  return answer ? { replayed: answer } : { postponed: [] };
}

/** Towards peers. What a TCP allocation cannot be asked for with stands in RFC 6062 section 5.1. */
function transportOf({ message, tuple }: AuthenticRequest, turn: Turn): Allocation["transport"] | Refusal {
  const { requestedTransport, dontFragment, evenPort, reservationToken } = message.attributes;
  if (requestedTransport === undefined) return refuse(400);
  if (requestedTransport === udp) return "udp";
  if (requestedTransport !== tcp || !turn.relaysTcp) return refuse(442);
  const isMalformed = !isOnStream(tuple) || dontFragment || evenPort || reservationToken !== undefined;
  return isMalformed ? refuse(400) : "tcp";
}

/** RFC 8016 section 3.1: whoever wants a ticket shows an empty one. Streams of a TCP allocation cannot go along. */
function refusalOfMobility({ message }: AuthenticRequest, { tickets }: Turn): Refusal | undefined {
  const { mobilityTicket, requestedTransport } = message.attributes;
  if (mobilityTicket === undefined) return undefined;
  if (!tickets || requestedTransport === tcp) return refuse(405);
  return mobilityTicket.length > 0 ? refuse(400) : undefined;
}

/** What the request has a token for, if it has one. */
function reservationOf({ message, identity, tuple }: AuthenticRequest, turn: Turn): Reservation | Refusal | undefined {
  const { reservationToken: token, evenPort, requestedAddressFamily } = message.attributes;
  if (token === undefined) return undefined;
  if (evenPort || requestedAddressFamily !== undefined || isDual(message)) return refuse(400);
  return turn.reservations.find(token, identity.credential.user, tuple.on.transport) ?? refuse(508);
}

/** Of the relayed addresses that are asked for: with an additional one, IPv4 comes first. */
function firstFamily({ message }: AuthenticRequest, turn: Turn): Family | Refusal {
  const { requestedAddressFamily, additionalAddressFamily = 6, evenPort } = message.attributes;

  // Steps 6 to 9.
  if (isDual(message) && requestedAddressFamily !== undefined) return refuse(400);
  const family = turn.families.find((each) => each === (requestedAddressFamily ?? 4));
  if (family === undefined) return refuse(440);
  if (isDual(message) && evenPort?.reservesNext) return refuse(400);
  if (additionalAddressFamily !== 6) return refuse(400);
  return family;
}

/** Reserved ports are ports: a user has no more of them than of allocations, and neither has everyone together. */
function refusalByQuota(request: AuthenticRequest, turn: Turn): Refusal | undefined {
  const { message, tuple, identity } = request;
  const { user } = identity.credential;
  const refusal = turn.allocations.refusalOfOneMore(user, tuple);
  if (refusal) return refusal.refused === 508 ? turn.alternates.refusalForCapacity(request) : refusal;
  if (!message.attributes.evenPort?.reservesNext) return undefined;
  if (turn.reservations.countOf(user) >= turn.limits.allocationsPerUser) return refuse(486);
  const isFull = turn.reservations.size >= turn.limits.allocations;
  return isFull ? turn.alternates.refusalForCapacity(request) : undefined;
}
