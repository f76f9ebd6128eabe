// The relay ports of an Allocate that was granted, opened one after the other, and with them the next one if that is to be
// reserved. The last of them brings the answer (RFC 8656 section 7.2).

import type { Action, Fact, Family, Input, Millis, RelayPortWish, SocketId } from "../contract.ts";
import type { Attributes } from "../stun/attributes.ts";
import { reasonPhrases } from "../stun/error-codes.ts";
import type { Message } from "../stun/message.ts";
import type { Allocation, RelayPort } from "./allocation.ts";
import { conclude } from "./conclude.ts";
import { desiredLifetime } from "./lifetime.ts";
import { limitsOf } from "./rates.ts";
import { type AuthenticRequest, type Grant, type Outcome, refuse } from "./request.ts";
import type { Reservation } from "./reservations.ts";
import type { Turn } from "./turn.ts";

/** ADDITIONAL-ADDRESS-FAMILY before RFC 8656 gave it another number. coturn's client sends it, and always for IPv6. */
const draftAdditionalAddressFamily = 0x8032;

/** A relay port that is being opened, and what its opening is for. */
export interface Opening {
  readonly allocation: Allocation;
  readonly request: AuthenticRequest;
  readonly family: Family;
  /** Those of the allocation that are open already and wait for this one. */
  readonly ports: readonly RelayPort[];
  /** Why a dual allocation will have one of its relayed addresses only. */
  readonly addressErrorCode?: Attributes["addressErrorCode"];
}

export function open(opening: Opening, turn: Turn, port?: RelayPortWish): Outcome {
  const { allocation, family, request, ports } = opening;
  const { via, from: client } = request.tuple;
  const relay = turn.newSocketId();
  turn.openings.set(relay, opening);
  // A certain port is for another allocation, later.
  const first = typeof port === "number" ? relay : (ports[0]?.relay ?? relay);
  const limits = limitsOf(turn.rates, first, allocation.user);
  const { transport } = allocation;
  return { postponed: [{ do: "open-relay", relay, family, via, client, port, transport, limits }] };
}

type Opened = Extract<Input, { is: "relay-opened" }>;
type Failed = Extract<Input, { is: "relay-failed" }>;

export function relayOpened(now: Millis, input: Opened, turn: Turn): Action[] {
  const { relay } = input;
  const opening = takeOpening(relay, turn);
  if (!opening) return [];
  if (!isWaitedFor(opening, turn)) return [...abandon(opening), { do: "close-relay", relay }];
  const { request } = opening;
  return conclude(request, opened(now, opening, input, turn), turn, request.identity);
}

export function relayFailed(now: Millis, { relay, why }: Failed, turn: Turn): Action[] {
  const opening = takeOpening(relay, turn);
  if (!opening) return [];
  if (!isWaitedFor(opening, turn)) return abandon(opening);
  const { allocation, request } = opening;
  const outcome = failed(now, opening, why === "exhausted" ? 508 : 440, turn);
  if (!("refused" in outcome)) return conclude(request, outcome, turn, request.identity);
  turn.allocations.end(allocation, "deleted");
  return [...abandon(opening), ...conclude(request, outcome, turn, request.identity)];
}

function takeOpening(relay: SocketId, { openings }: Turn): Opening | undefined {
  const opening = openings.get(relay);
  openings.delete(relay);
  return opening;
}

function isWaitedFor({ allocation }: Opening, { allocations }: Turn): boolean {
  return allocations.find(allocation.tuple) === allocation;
}

/** A port is open: one of the allocation's own, or the one above it. */
function opened(now: Millis, opening: Opening, { relay, at }: Opened, turn: Turn): Outcome {
  const { allocation, request, family, ports } = opening;
  const port = { relay, family, relayed: at };
  if (!request.message.attributes.evenPort?.reservesNext) {
    return openNext(now, { ...opening, ports: [...ports, port] }, turn);
  }
  if (ports.length === 0) return open({ ...opening, ports: [port] }, turn, at.port + 1);
  const { transport } = request.tuple.on;
  return allocated(now, opening, turn, turn.reservations.add(now, { ...port, user: allocation.user, transport }));
}

/** A port did not open. A dual allocation makes do with the other (step 9). */
function failed(now: Millis, opening: Opening, code: 440 | 508, turn: Turn): Outcome {
  const { request, family } = opening;
  if (!isDual(request.message)) return code === 508 ? turn.alternates.refusalForCapacity(request) : refuse(code);
  const addressErrorCode = { family, code, reason: reasonPhrases[code] };
  return openNext(now, { ...opening, addressErrorCode }, turn);
}

/** Of a dual allocation, the IPv6 port comes after the IPv4 one; then, all is open that can be. */
function openNext(now: Millis, opening: Opening, turn: Turn): Outcome {
  const { request, family, ports } = opening;
  const { evenPort } = request.message.attributes;
  if (isDual(request.message) && family === 4) {
    const second = { ...opening, family: 6 } as const;
    return turn.families.includes(6) ? open(second, turn, evenPort && "even") : failed(now, second, 440, turn);
  }
  return ports.length > 0 ? allocated(now, opening, turn) : turn.alternates.refusalForCapacity(request);
}

/** Every port of an opening that comes to nothing. */
function abandon({ ports }: Opening): Action[] {
  return ports.map(({ relay }) => ({ do: "close-relay", relay }));
}

/** The answer, now that all is open. The lifetime begins here. */
export function allocated(
  now: Millis,
  { allocation, request, ports, addressErrorCode }: Opening,
  turn: Turn,
  reservation?: Reservation,
): Grant {
  const { tuple, user } = allocation;
  const lifetimes = ports.map((port) =>
    allocation.open(port, now, desiredLifetime(request.message.attributes.lifetime)),
  );
  turn.allocations.file(allocation);
  const isMobile = request.message.attributes.mobilityTicket !== undefined;
  const { number } = isMobile ? turn.allocations.letRoam(allocation) : {};
  const facts = ports.map(({ relay, relayed }): Fact => {
    const { transport } = tuple.on;
    return { fact: "allocation-opened", relay, user, transport, client: tuple.from, relayed };
  });
  return {
    granted: {
      xorRelayedAddress: ports.map(({ relayed }) => relayed),
      lifetime: Math.min(...lifetimes),
      reservationToken: reservation?.token,
      xorMappedAddress: tuple.from,
      addressErrorCode,
      mobilityTicket: number === undefined ? undefined : turn.tickets?.seal({ number, issue: 0 }),
      software: turn.software,
    },
    actions: facts.map((fact) => ({ do: "report", fact })),
    keep: (answer) => {
      allocation.answer = answer;
    },
  };
}

export function isDual({ attributes, types }: Message): boolean {
  return attributes.additionalAddressFamily !== undefined || types.includes(draftAdditionalAddressFamily);
}
