// An allocation with all that hangs on it: one tree of permissions and channels (RFC 8656 sections 6, 9 and 12), and
// the routes that follow from it.

import {
  type Endpoint,
  type Family,
  type Framing,
  familyOf,
  isSameEndpoint,
  type Leg,
  type Millis,
  type Route,
  type SocketId,
} from "../contract.ts";
import { isTokenHolder } from "./access-tokens.ts";
import type { PeerPolicy } from "./peer-policy.ts";
import type { FiveTuple, Identity } from "./request.ts";
import type { Roaming } from "./roaming.ts";

/** One relayed transport address. A dual allocation has two, each with a life of its own. */
export interface RelayPort {
  readonly relay: SocketId;
  readonly family: Family;
  readonly relayed: Endpoint;
}

const permissionMillis = 300_000;
const channelMillis = 600_000;
/** A channel's number and peer stay together this long after it ended, for packets still on their way (section 12). */
const channelRestMillis = 300_000;
/** A plane hears of a later end only if it is this much later, so that asking all the time makes no work of routes. */
const noticeMillis = 1000;
/** A client with hundreds of peers asks this often for a moment; one that always does takes the time of others. */
const transactionMillis = 20;
const transactionsAtOnce = 500;

interface NamedRoute {
  /** A peer's address, or the number of a channel. */
  readonly name: string | number;
  readonly legs: Route;
}

interface Channel {
  readonly number: number;
  readonly peer: Endpoint;
  readonly until: Millis;
}

export class Allocation {
  /** Where its client is, or was before it left. */
  #tuple: FiveTuple;
  #hasClient = true;
  /** Towards peers. */
  readonly transport: "udp" | "tcp";
  readonly username: string;
  /** What quotas count. */
  readonly user: string;
  /** The Allocate transaction: a retransmission gets the same answer. */
  readonly transaction: string;
  readonly since: Millis;

  /** The end of the credential that was shown last. */
  credentialUntil: Millis;
  /** As Latin-1: a text weighs a third of an array of bytes, which would also hold on to the pool that it lies in. */
  #answer: string | undefined;
  /** Who showed the token that it is for, if it is for one: its client need not show that again. */
  session: Identity | undefined;
  /** Of a client that may come back from elsewhere. */
  roaming: Roaming | undefined;
  /** By when its ports are to be open. */
  readonly #openBy: Millis;
  readonly #ports = new Map<Family, RelayPort & { readonly until: Millis }>();
  /** Peers have one family each, so what is permitted or bound hangs on the port of that family. */
  readonly #permissions = new Map<string, Millis>();
  readonly #channels = new Map<number, Channel>();
  /** By peer address or channel number: the end that the plane knows of its route. */
  readonly #told = new Map<string | number, Millis>();
  /** When it may have `transactionsAtOnce` again; in the past, if it may. */
  #restedAt: Millis = 0;

  constructor(
    of: Pick<Allocation, "tuple" | "transport" | "transaction" | "since"> & {
      readonly identity: Identity;
      readonly openBy: Millis;
    },
  ) {
    this.#tuple = of.tuple;
    this.transport = of.transport;
    this.transaction = of.transaction;
    this.since = of.since;
    this.username = of.identity.username;
    this.user = of.identity.credential.user;
    this.credentialUntil = of.identity.credential.until;
    this.session = isTokenHolder(of.identity) ? of.identity : undefined;
    this.#openBy = of.openBy;
  }

  /** To the Allocate transaction, once there is one. */
  get answer(): Uint8Array | undefined {
    return this.#answer === undefined ? undefined : Buffer.from(this.#answer, "latin1");
  }

  set answer(bytes: Uint8Array) {
    this.#answer = Buffer.from(bytes).toString("latin1");
  }

  /** Its user has shown another credential, or the same again. */
  recognize(identity: Identity): void {
    this.credentialUntil = identity.credential.until;
    if (isTokenHolder(identity)) this.session = identity;
  }

  /** Whether it may have one more transaction now; if so, that is spent. */
  admitsTransaction(now: Millis): boolean {
    const restedAt = Math.max(this.#restedAt, now) + transactionMillis;
    if (restedAt > now + transactionsAtOnce * transactionMillis) return false;
    this.#restedAt = restedAt;
    return true;
  }

  get tuple(): FiveTuple {
    return this.#tuple;
  }

  /** False from when its client's connection has ended until it is back. */
  get hasClient(): boolean {
    return this.#hasClient;
  }

  /** False while its relay ports are being opened. */
  get isOpen(): boolean {
    return this.#ports.size > 0;
  }

  get ports(): RelayPort[] {
    return [...this.#ports.values()].map(({ relay, family, relayed }) => ({ relay, family, relayed }));
  }

  /** Of the relayed addresses that it has. */
  get families(): Family[] {
    return [...this.#ports.keys()];
  }

  /** When the first of what it has ends. */
  get until(): Millis {
    let first = this.isOpen ? Number.POSITIVE_INFINITY : this.#openBy;
    for (const { until } of this.#ports.values()) first = Math.min(first, until);
    return first;
  }

  /** Its relay port for peers of a family, if that is open and has not come to its end. */
  relayFor(family: Family, now: Millis): SocketId | undefined {
    const port = this.#ports.get(family);
    return port && port.until > now ? port.relay : undefined;
  }

  /** Whether it has any relay port that has not come to its end. */
  lives(now: Millis): boolean {
    return [...this.#ports.values()].some(({ until }) => until > now);
  }

  /** Gives it a relay port, or a longer life to the one it has, and returns the seconds of it. */
  open(port: RelayPort, now: Millis, lifetimeSeconds: number): number {
    const until = Math.min(now + lifetimeSeconds * 1000, this.credentialUntil);
    const { relay, family, relayed } = port;
    this.#ports.set(family, { relay, family, relayed, until });
    return Math.max(0, Math.ceil((until - now) / 1000));
  }

  /** Sets the end of these relay ports, no later than that of the credential. Returns the seconds until then, rounded up. */
  prolong(families: readonly Family[], now: Millis, lifetimeSeconds: number): number {
    const ports = families.flatMap((family) => this.#ports.get(family) ?? []);
    return Math.max(0, ...ports.map((port) => this.open(port, now, lifetimeSeconds)));
  }

  /** Its client is gone with all routes to it, and has until then to come back. */
  leave(until: Millis): void {
    this.#hasClient = false;
    for (const port of this.#ports.values())
      this.#ports.set(port.family, { ...port, until: Math.min(port.until, until) });
  }

  /** Takes out the relay port of a family, with all that hangs on it. */
  close(family: Family): RelayPort | undefined {
    for (const address of this.#permissions.keys()) {
      if (familyOf(address) === family) this.#permissions.delete(address);
    }
    for (const { number, peer } of this.#channels.values()) {
      if (familyOf(peer.address) === family) this.#channels.delete(number);
    }
    const port = this.#ports.get(family);
    this.#ports.delete(family);
    return port;
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
    for (const [address, until] of this.#permissions) {
      if (until > now) continue;
      this.#permissions.delete(address);
      this.#told.delete(address);
    }
    return hasRoom();
  }

  /** Whether neither the number is another peer's nor the peer another number's. */
  isBindable(number: number, peer: Endpoint, now: Millis): boolean {
    for (const channel of this.#channels.values()) {
      if (channel.until + channelRestMillis <= now) continue;
      if ((channel.number === number) !== isSameEndpoint(channel.peer, peer)) return false;
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

  /** Who a channel is bound to. */
  peerOf(number: number, now: Millis): Endpoint | undefined {
    const channel = this.#channels.get(number);
    return channel && channel.until > now ? channel.peer : undefined;
  }

  /**
   * Takes back what leads to peers that may not be permitted any more: the routes that are not to stand. And those whose
   * peer may not be reached, though it may be permitted: one of our own addresses, of which a plane has to be told again.
   */
  recheck(now: Millis, peers: PeerPolicy): { readonly former: Route[]; readonly again: Route[] } {
    const before = this.#wanted(now);
    for (const address of this.#permissions.keys()) if (!peers.mayPermit(address)) this.#permissions.delete(address);
    for (const { number, peer } of this.#channels.values()) {
      if (!peers.mayPermit(peer.address, peer.port)) this.#channels.delete(number);
    }
    const left = this.#wanted(now);
    const former = before.filter(({ name }) => !left.some((each) => each.name === name));
    for (const { name } of former) this.#told.delete(name);
    const again = left.filter(({ legs: [, { peer }] }) => peer.port !== 0 && !peers.mayReach(peer));
    return { former: former.map(({ legs }) => legs), again: again.map(({ legs }) => legs) };
  }

  /** Its client is there from now on: the routes that are to stand, and those that are not any more. */
  moveTo(tuple: FiveTuple, now: Millis): { readonly routes: Route[]; readonly former: Route[] } {
    const former = this.#wanted(now).map(({ legs }) => legs);
    this.#tuple = tuple;
    this.#hasClient = true;
    this.#told.clear();
    return { routes: this.routes(now), former };
  }

  /**
   * What a plane does not know yet about peers at these addresses, or at all: a route of indications for each permission,
   * a numbered one for each channel. None outlives what it rests on. Streams have no routes.
   */
  routes(now: Millis, addresses?: ReadonlySet<string>): Route[] {
    const unknown = this.#wanted(now, addresses).filter(({ name, legs }) => !this.#isKnown(name, legs[0].until));
    return unknown.map(({ legs }) => legs);
  }

  #wanted(now: Millis, addresses: ReadonlySet<string> = new Set(this.#permissions.keys())): NamedRoute[] {
    if (!this.#hasClient || this.transport === "tcp") return [];
    const routes: NamedRoute[] = [];
    const add = (framing: "indication" | number, peer: Endpoint, until: Millis) => {
      const port = this.#ports.get(familyOf(peer.address));
      const end = Math.min(until, this.#permissions.get(peer.address) ?? 0, port?.until ?? 0);
      if (!port || end <= now) return;
      const name = framing === "indication" ? peer.address : framing;
      routes.push({ name, legs: this.#route(port, framing, peer, end) });
    };
    for (const address of addresses) add("indication", { address, port: 0 }, Number.POSITIVE_INFINITY);
    for (const { number, peer, until } of this.#channels.values()) {
      if (addresses.has(peer.address)) add(number, peer, until);
    }
    return routes;
  }

  /** If it is not, it will be: what is asked about is told. */
  #isKnown(route: string | number, end: Millis): boolean {
    const told = this.#told.get(route) ?? 0;
    if (told <= end && end < told + noticeMillis) return true;
    this.#told.set(route, end);
    return false;
  }

  #route({ relay }: RelayPort, framing: Framing, peer: Endpoint, until: Millis): Route {
    const client: Leg = { socket: this.tuple.via, peer: this.tuple.from, framing, until };
    return [client, { socket: relay, peer, framing: "bare", until }];
  }
}
