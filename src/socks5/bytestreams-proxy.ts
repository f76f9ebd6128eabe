// The proxy of XEP-0065 as a machine: clients connect to it, never it to anybody, and two that know the same secret hash
// are joined when one of them says so over XMPP.

import { Calendar } from "../calendar.ts";
import type { Action, Banned, Endpoint, Input, Machine, Millis, SocketId, Usage } from "../contract.ts";
import { count } from "../counts.ts";
import { offersNoAuthentication, type ReplyCode, readRequest, writeMethod, writeReply } from "./handshake.ts";

export interface ProxyLimits {
  /** Connections that wait to be activated. */
  readonly waiting: number;
  readonly waitingPerAddress: number;
  readonly streams: number;
  readonly streamsPerUser: number;
  /** Of one user's streams together, in each direction by itself. */
  readonly bytesPerSecondPerUser: number;
  /** Looked at once a second: who has had more has what is left of his streams ended, and gets none until the next day. */
  readonly bytesPerDayPerUser: number;
}

/** What the proxy asks of others. */
export interface ProxySurroundings {
  /** Which addresses are one host's. */
  readonly hostOf: (address: string) => string;
  /** What two joined connections have carried so far, by the first of them. */
  readonly usageOf: (stream: SocketId) => Usage | undefined;
  /** Whether the operator has shut out who comes from there. */
  readonly isBanned: (address: string, now: Millis) => boolean;
}

export const defaultProxyLimits: ProxyLimits = {
  waiting: 1000,
  waitingPerAddress: 50,
  streams: 1000,
  streamsPerUser: 20,
  bytesPerSecondPerUser: 20_000_000,
  bytesPerDayPerUser: 20_000_000_000,
};

/** For who has connected until it is activated. */
const waitMillis = 60_000;
const idleSeconds = 300;
const dayMillis = 86_400_000;

/** Why a stream is not activated. */
export type ActivationFailure = "nobody-waits" | "one-waits" | "too-many" | "too-much";

export type Activation = { readonly actions: readonly Action[] } | { readonly failed: ActivationFailure };

interface Guest {
  readonly via: SocketId;
  readonly from: Endpoint;
  /** Undefined until it has asked. */
  hash: string | undefined;
}

interface Stream {
  /** Who had it activated, as quotas count him. */
  readonly user: string;
  readonly guests: readonly [one: Guest, other: Guest];
  readonly since: Millis;
  /** Bytes of it that have been counted. */
  counted: number;
  /** Why it is being ended, if we are at it. */
  why: "over-quota" | "ordered" | undefined;
}

/** A stream that is open. */
export interface StreamView {
  readonly user: string;
  readonly since: Millis;
  readonly bytes: number;
}

type Datagram = Extract<Input, { is: "datagram" }>;

export class BytestreamsProxy implements Machine {
  readonly #limits: ProxyLimits;
  readonly #surroundings: ProxySurroundings;
  readonly #guests = new Map<SocketId, Guest>();
  readonly #byHash = new Map<string, Guest[]>();
  readonly #perHost = new Map<string, number>();
  readonly #ends = new Calendar<Guest>();
  /** By the first of the two connections. */
  readonly #streams = new Map<SocketId, Stream>();
  readonly #perUser = new Map<string, number>();
  /** Bytes of this day. */
  readonly #spent = new Map<string, number>();
  #day = 0;
  #bytes = 0;

  constructor(limits: ProxyLimits, surroundings: ProxySurroundings) {
    this.#limits = limits;
    this.#surroundings = surroundings;
  }

  /** How many wait to be activated. */
  get waiting(): number {
    return this.#guests.size;
  }

  /** Carried by all streams that there ever were, as of the last second. */
  get bytes(): number {
    return this.#bytes;
  }

  streams(): StreamView[] {
    return [...this.#streams.values()].map(({ user, since, counted: bytes }) => ({ user, since, bytes }));
  }

  handle(now: Millis, input: Input): Action[] {
    switch (input.is) {
      case "datagram":
        return this.#receive(now, input);
      case "hung-up":
        this.#forget(this.#guests.get(input.via));
        return [];
      case "parted":
        return this.#parted(now, input.streams[0], input.usage);
      case "ordered":
        return input.order.order === "ban" ? this.#shutOut(now, input.order.whom) : [];
      case "ticked":
        return [...this.#ends.due(now).flatMap((guest) => this.#turnOut(guest)), ...this.#meter(now)];
      default:
        return [];
    }
  }

  /** Joins the two who wait for this hash, in the name of `user`. */
  activate(now: Millis, hash: string, user: string): Activation {
    const [one, other] = this.#byHash.get(hash) ?? [];
    if (!one) return { failed: "nobody-waits" };
    if (!other) return { failed: "one-waits" };
    const { streams, streamsPerUser, bytesPerSecondPerUser, bytesPerDayPerUser } = this.#limits;
    const held = this.#perUser.get(user) ?? 0;
    if (this.#streams.size >= streams || held >= streamsPerUser) return { failed: "too-many" };
    if (this.#spentBy(user, now) >= bytesPerDayPerUser) return { failed: "too-much" };
    for (const guest of [one, other]) this.#forget(guest);
    this.#streams.set(one.via, { user, guests: [one, other], since: now, counted: 0, why: undefined });
    this.#perUser.set(user, held + 1);
    const limits = [{ bucket: `bytestreams ${user}`, bytesPerSecond: bytesPerSecondPerUser }];
    return {
      actions: [
        { do: "join", streams: [one.via, other.via], limits, idleSeconds },
        { do: "report", fact: { fact: "bytestream-opened", user } },
      ],
    };
  }

  #receive(now: Millis, { via, from, bytes }: Datagram): Action[] {
    const guest = this.#guests.get(via);
    const send = (bytes: Uint8Array): Action => ({ do: "send", via, to: from, bytes });
    if (!guest) {
      const { isBanned } = this.#surroundings;
      const mayStay = offersNoAuthentication(bytes) && this.#hasRoomFor(from) && !isBanned(from.address, now);
      if (!mayStay) return [send(writeMethod(false)), { do: "hang-up", via }];
      const madeRoom = this.#guests.size < this.#limits.waiting ? [] : this.#turnOutMostFrequent();
      this.#take({ via, from, hash: undefined }, now);
      return [...madeRoom, send(writeMethod(true))];
    }
    const request = readRequest(bytes);
    if ("refused" in request) return [send(writeReply(bytes, request.refused)), ...this.#turnOut(guest)];
    const refusal = this.#await(guest, request.hash);
    return refusal ? [send(writeReply(bytes, refusal)), ...this.#turnOut(guest)] : [send(writeReply(bytes, "done"))];
  }

  /** Two are all that a stream has. */
  #await(guest: Guest, hash: string): ReplyCode | undefined {
    const waiting = this.#byHash.get(hash) ?? [];
    if (waiting.length === 2) return "not allowed";
    guest.hash = hash;
    this.#byHash.set(hash, [...waiting, guest]);
    return undefined;
  }

  /** Where all places are taken, there is one for a host that has fewer than another. */
  #hasRoomFor({ address }: Endpoint): boolean {
    const { waiting, waitingPerAddress } = this.#limits;
    const own = this.#perHost.get(this.#surroundings.hostOf(address)) ?? 0;
    const isFull = this.#guests.size >= waiting;
    return own < waitingPerAddress && (!isFull || own + 1 < Math.max(...this.#perHost.values()));
  }

  /** The oldest of the host that has the most: a flood pushes out itself. */
  #turnOutMostFrequent(): Action[] {
    const [[most] = [""]] = [...this.#perHost].sort(([, one], [, other]) => other - one);
    const { hostOf } = this.#surroundings;
    const oldest = [...this.#guests.values()].find(({ from }) => hostOf(from.address) === most);
    return oldest ? this.#turnOut(oldest) : [];
  }

  #take(guest: Guest, now: Millis): void {
    this.#guests.set(guest.via, guest);
    count(this.#perHost, this.#surroundings.hostOf(guest.from.address), 1);
    this.#ends.file(guest, now + waitMillis);
  }

  /** It waits no longer, for whichever reason. */
  #forget(guest: Guest | undefined): void {
    if (!guest || !this.#guests.delete(guest.via)) return;
    this.#ends.strike(guest);
    count(this.#perHost, this.#surroundings.hostOf(guest.from.address), -1);
    if (guest.hash === undefined) return;
    const rest = (this.#byHash.get(guest.hash) ?? []).filter((other) => other !== guest);
    if (rest.length > 0) this.#byHash.set(guest.hash, rest);
    else this.#byHash.delete(guest.hash);
  }

  #turnOut(guest: Guest): Action[] {
    this.#forget(guest);
    return [{ do: "hang-up", via: guest.via }];
  }

  /** What has passed since the last time, and the end of whoever has had enough. */
  #meter(now: Millis): Action[] {
    for (const [first, stream] of this.#streams) {
      const usage = this.#surroundings.usageOf(first);
      if (usage) this.#count(stream, usage, now);
    }
    const hasHadEnough = ({ user }: Stream) => this.#spentBy(user, now) >= this.#limits.bytesPerDayPerUser;
    return this.#end("over-quota", hasHadEnough);
  }

  #shutOut(now: Millis, whom: Banned): Action[] {
    const isShutOut = ({ from }: Guest) => this.#surroundings.isBanned(from.address, now);
    const waiting = [...this.#guests.values()].filter(isShutOut);
    const isMeant = ({ user, guests }: Stream) => ("user" in whom ? user === whom.user : guests.some(isShutOut));
    return [...waiting.flatMap((guest) => this.#turnOut(guest)), ...this.#end("ordered", isMeant)];
  }

  #end(why: NonNullable<Stream["why"]>, isMeant: (stream: Stream) => boolean): Action[] {
    const meant = [...this.#streams].filter(([, stream]) => !stream.why && isMeant(stream));
    for (const [, stream] of meant) stream.why = why;
    return meant.map(([via]) => ({ do: "hang-up", via }));
  }

  #parted(now: Millis, first: SocketId, usage: Usage): Action[] {
    const stream = this.#streams.get(first);
    if (!stream) return [];
    const { user, why = "ended" } = stream;
    this.#count(stream, usage, now);
    this.#streams.delete(first);
    count(this.#perUser, user, -1);
    return [{ do: "report", fact: { fact: "bytestream-closed", user, why, usage } }];
  }

  #count(stream: Stream, { toPeer, toClient }: Usage, now: Millis): void {
    const bytes = toPeer.bytes + toClient.bytes;
    const more = bytes - stream.counted;
    stream.counted = bytes;
    this.#bytes += more;
    this.#spent.set(stream.user, this.#spentBy(stream.user, now) + more);
  }

  #spentBy(user: string, now: Millis): number {
    const day = Math.floor(now / dayMillis);
    if (day !== this.#day) this.#spent.clear();
    this.#day = day;
    return this.#spent.get(user) ?? 0;
  }
}
