// An allocation with all that hangs on it: one tree of permissions and channels (RFC 8656 sections 6, 9 and 12), and
// the routes that follow from it.

import type { Endpoint, Family, Framing, Leg, Millis, Route, SocketId } from "../contract.ts";
import type { FiveTuple, Identity } from "./request.ts";

const permissionMillis = 300_000;
const channelMillis = 600_000;
/** A channel's number and peer stay together this long after it ended, for packets still on their way (section 12). */
const channelRestMillis = 300_000;

interface Channel {
  readonly number: number;
  readonly peer: Endpoint;
  readonly until: Millis;
}

export class Allocation {
  readonly tuple: FiveTuple;
  readonly relay: SocketId;
  readonly family: Family;
  readonly username: string;
  /** What quotas count. */
  readonly user: string;
  /** Undefined while the relay port is being opened. */
  relayed: Endpoint | undefined;
  until: Millis = 0;
  /** The Allocate transaction and, once there is one, its answer: for retransmissions. */
  readonly transaction: string;
  answer: Uint8Array | undefined;

  readonly #credentialUntil: Millis;
  readonly #permissions = new Map<string, Millis>();
  readonly #channels = new Map<number, Channel>();

  constructor(of: Pick<Allocation, "tuple" | "relay" | "family" | "transaction"> & { readonly identity: Identity }) {
    this.tuple = of.tuple;
    this.relay = of.relay;
    this.family = of.family;
    this.transaction = of.transaction;
    this.username = of.identity.username;
    this.user = of.identity.credential.user;
    this.#credentialUntil = of.identity.credential.until;
  }

  /** Sets the end, no later than that of the credential, and returns the seconds until then, rounded up. */
  prolong(now: Millis, lifetimeSeconds: number): number {
    this.until = Math.min(now + lifetimeSeconds * 1000, this.#credentialUntil);
    return Math.max(0, Math.ceil((this.until - now) / 1000));
  }

  isPermitted(address: string, now: Millis): boolean {
    return (this.#permissions.get(address) ?? 0) > now;
  }

  permit(address: string, now: Millis): void {
    this.#permissions.set(address, now + permissionMillis);
  }

  /** Whether all of these can be permitted with no more than `limit` permissions in all. */
  hasRoomToPermit(addresses: ReadonlySet<string>, now: Millis, limit: number): boolean {
    const hasRoom = () => {
      const added = [...addresses].filter((address) => !this.#permissions.has(address)).length;
      return this.#permissions.size + added <= limit;
    };
    if (hasRoom()) return true;
    for (const [address, until] of this.#permissions) if (until <= now) this.#permissions.delete(address);
    return hasRoom();
  }

  /** Whether neither the number is another peer's nor the peer another number's. */
  isBindable(number: number, peer: Endpoint, now: Millis): boolean {
    for (const channel of this.#channels.values()) {
      if (channel.until + channelRestMillis <= now) continue;
      if ((channel.number === number) !== isSame(channel.peer, peer)) return false;
    }
    return true;
  }

  /** Whether this number can be bound with no more than `limit` channels in all. */
  hasRoomToBind(number: number, now: Millis, limit: number): boolean {
    const hasRoom = () => this.#channels.has(number) || this.#channels.size < limit;
    if (hasRoom()) return true;
    for (const { number, until } of this.#channels.values()) {
      if (until + channelRestMillis <= now) this.#channels.delete(number);
    }
    return hasRoom();
  }

  /** A channel brings its permission along (section 12.2). */
  bind(number: number, peer: Endpoint, now: Millis): void {
    this.#channels.set(number, { number, peer, until: now + channelMillis });
    this.permit(peer.address, now);
  }

  /**
   * What a plane has to know about peers at these addresses, or at all: a route of indications for each permission, a
   * numbered one for each channel. None outlives what it rests on.
   */
  routes(now: Millis, addresses: ReadonlySet<string> = new Set(this.#permissions.keys())): Route[] {
    const routes: Route[] = [];
    const add = (framing: Framing, peer: Endpoint, until: Millis) => {
      const permitted = this.#permissions.get(peer.address) ?? 0;
      const end = Math.min(until, permitted, this.until);
      if (end > now) routes.push(this.#route(framing, peer, end));
    };
    for (const address of addresses) add("indication", { address, port: 0 }, Number.POSITIVE_INFINITY);
    for (const { number, peer, until } of this.#channels.values()) {
      if (addresses.has(peer.address)) add(number, peer, until);
    }
    return routes;
  }

  #route(framing: Framing, peer: Endpoint, until: Millis): Route {
    const client: Leg = { socket: this.tuple.via, peer: this.tuple.from, framing, until };
    return [client, { socket: this.relay, peer, framing: "bare", until }];
  }
}

function isSame(one: Endpoint, other: Endpoint): boolean {
  return one.port === other.port && one.address === other.address;
}
