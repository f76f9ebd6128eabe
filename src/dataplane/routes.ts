// The rule of every plane, in readable form: which way a packet goes, or why it goes no further
// (RFC 8656 sections 11 and 12). Pure: the plane tells the time and moves the bytes.

import { Calendar } from "../calendar.ts";
import type { DropReason, Endpoint, Framing, Leg, Millis, Route, SocketId } from "../contract.ts";
import { readChannelData } from "../stun/channel-data.ts";
import { asBuffer, isFramed } from "../stun/header.ts";
import { Expectations } from "./expectations.ts";

/** One direction of a route: what arrives on `from` leaves on `to`. */
export interface Way {
  readonly route: Route;
  readonly from: Leg;
  readonly to: Leg;
  readonly direction: "to-peer" | "to-client";
  /** A route lives while both its legs do: up to, but without, this moment. */
  readonly until: Millis;
  /** Whether policy lets packets leave on `to`, as it stood when the route was last sent. */
  readonly mayLeave: boolean;
}

/** What becomes of a packet: this payload goes this way, or nothing goes anywhere. */
export type Verdict = { readonly way: Way; readonly payload: Uint8Array } | DropReason;

/**
 * An arrival leg (socket, peer, framing) belongs to one route at a time: a route that claims it ends the one that had it.
 * Indication legs only leave: what a client sends in indications is STUN, and handed up.
 */
export class RouteTable {
  readonly #mayLeave: (to: Leg) => boolean;
  readonly #arrivals = new Map<SocketId, Map<string, Map<number, Way>>>();
  readonly #routes = new Map<SocketId, Set<Route>>();
  readonly #ends = new Calendar<Route>();
  readonly expected = new Expectations();

  constructor(mayLeave: (to: Leg) => boolean) {
    this.#mayLeave = mayLeave;
  }

  /** How many routes stand, those included whose end has passed and that were not yet expired. */
  get size(): number {
    return this.#ends.size;
  }

  route(legs: Route): void {
    const ways = this.#waysOf(legs);
    for (const way of ways) {
      const former = this.#at(way.from);
      if (former) this.#end(former.route);
    }
    for (const way of ways) this.#file(way);
    for (const leg of legs) {
      const routes = this.#routes.get(leg.socket);
      if (routes) routes.add(legs);
      else this.#routes.set(leg.socket, new Set([legs]));
    }
    this.#ends.file(legs, Math.min(legs[0].until, legs[1].until));
  }

  /** Ends the route between these two legs, and no other that holds one of them. */
  unroute(legs: Route): void {
    for (const leg of legs) {
      const way = this.#at(leg);
      if (way && isSameLeg(way.route[0], legs[0]) && isSameLeg(way.route[1], legs[1])) this.#end(way.route);
    }
  }

  /** Ends every route over this socket. */
  forget(socket: SocketId): void {
    for (const route of this.#routes.get(socket) ?? []) this.#end(route);
  }

  /** Forgets what has come to its end. Lookups never wait for this: they see the end themselves. */
  expire(now: Millis): void {
    for (const route of this.#ends.due(now)) this.#end(route);
    this.expected.expire(now);
  }

  has(socket: SocketId): boolean {
    return this.#routes.has(socket);
  }

  /** The live way from exactly this leg. */
  find(socket: SocketId, address: string, port: number, framing: Framing, now: Millis): Way | undefined {
    const way = this.#arrivals.get(socket)?.get(address)?.get(slot(port, framing));
    return way !== undefined && now < way.until ? way : undefined;
  }

  #waysOf(legs: Route): readonly Way[] {
    const [client, peer] = legs;
    const toClient = this.#way(legs, peer, client, "to-client");
    return client.framing === "indication" ? [toClient] : [this.#way(legs, client, peer, "to-peer"), toClient];
  }

  #way(route: Route, from: Leg, to: Leg, direction: Way["direction"]): Way {
    return { route, from, to, direction, until: Math.min(from.until, to.until), mayLeave: this.#mayLeave(to) };
  }

  #at({ socket, peer, framing }: Leg): Way | undefined {
    return this.#arrivals.get(socket)?.get(peer.address)?.get(slot(peer.port, framing));
  }

  #file(way: Way): void {
    const { socket, peer, framing } = way.from;
    const addresses = this.#arrivals.get(socket) ?? new Map<string, Map<number, Way>>();
    const slots = addresses.get(peer.address) ?? new Map<number, Way>();
    this.#arrivals.set(socket, addresses.set(peer.address, slots.set(slot(peer.port, framing), way)));
  }

  #end(route: Route): void {
    for (const leg of route) {
      const routes = this.#routes.get(leg.socket);
      routes?.delete(route);
      if (routes?.size === 0) this.#routes.delete(leg.socket);
      if (this.#at(leg)?.route === route) this.#vacate(leg);
    }
    this.#ends.strike(route);
  }

  #vacate({ socket, peer, framing }: Leg): void {
    const addresses = this.#arrivals.get(socket);
    const slots = addresses?.get(peer.address);
    slots?.delete(slot(peer.port, framing));
    if (slots?.size === 0) addresses?.delete(peer.address);
    if (addresses?.size === 0) this.#arrivals.delete(socket);
  }
}

/** A packet on a listener or a stream connection: ChannelData and bare payload by their route, other STUN goes up. */
export function judgeAtListener(
  table: RouteTable,
  socket: SocketId,
  from: Endpoint,
  bytes: Uint8Array,
  now: Millis,
): Verdict | "hand-up" {
  if (from.port === 0) return "malformed";
  if (startsLikeChannelData(bytes)) {
    const data = readChannelData(bytes);
    if (!data) return "malformed";
    const way = table.find(socket, from.address, from.port, data.channel, now);
    if (way) return { way, payload: data.payload };
    return table.expected.has(socket, from, now) ? "hand-up" : "no-channel";
  }
  const way = table.find(socket, from.address, from.port, "bare", now);
  if (way) return { way, payload: bytes };
  return isFramed(asBuffer(bytes)) ? "hand-up" : "malformed";
}

/** A packet on a relay port: by the route of exactly this peer, else by the permission of its address. */
export function judgeAtRelay(
  table: RouteTable,
  relay: SocketId,
  { address, port }: Endpoint,
  bytes: Uint8Array,
  now: Millis,
): Verdict {
  if (port === 0) return "malformed";
  const way = table.find(relay, address, port, "bare", now) ?? table.find(relay, address, 0, "bare", now);
  return way ? { way, payload: bytes } : "no-permission";
}

/** Port and framing in 31 bits, so that the map's keys stay small integers. */
function slot(port: number, framing: Framing): number {
  return port * 0x8000 + (framing === "bare" ? 0 : framing === "indication" ? 1 : framing);
}

function isSameLeg(one: Leg, other: Leg): boolean {
  return (
    one.socket === other.socket &&
    one.framing === other.framing &&
    one.peer.port === other.peer.port &&
    one.peer.address === other.peer.address
  );
}

/** The first two bits are 01 (RFC 8656 section 12). */
export function startsLikeChannelData(bytes: Uint8Array): boolean {
  return (bytes[0] ?? 0) >> 6 === 1;
}
