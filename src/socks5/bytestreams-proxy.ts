// The proxy of XEP-0065 as a machine: clients connect to it, never it to anybody, and two that know the same secret hash
// are joined when one of them says so over XMPP.

import { Calendar } from "../calendar.ts";
import type { Action, Endpoint, Input, Machine, Millis, SocketId, Usage } from "../contract.ts";
import { offersNoAuthentication, type ReplyCode, readRequest, writeMethod, writeReply } from "./handshake.ts";

export interface ProxyLimits {
  /** Connections that wait to be activated. */
  readonly waiting: number;
  readonly waitingPerAddress: number;
  readonly streams: number;
  readonly streamsPerUser: number;
  /** Of one user's streams together, in each direction by itself. */
  readonly bytesPerSecondPerUser: number;
  /** Counted when a stream ends; who has had more gets no new one until the next day. */
  readonly bytesPerDayPerUser: number;
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
  readonly user: string;
}

type Datagram = Extract<Input, { is: "datagram" }>;

export class BytestreamsProxy implements Machine {
  readonly #limits: ProxyLimits;
  readonly #hostOf: (address: string) => string;
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

  /** `hostOf` says which addresses are one host's. */
  constructor(limits: ProxyLimits, hostOf: (address: string) => string) {
    this.#limits = limits;
    this.#hostOf = hostOf;
  }

  get size(): number {
    return this.#streams.size;
  }

  handle(now: Millis, input: Input): Action[] {
    switch (input.is) {
      case "datagram":
        return this.#receive(now, input);
      case "hung-up":
        this.#forget(this.#guests.get(input.via));
        return [];
      case "parted":
        this.#parted(now, input.streams[0], input.usage);
        return [];
      case "ticked":
        return this.#ends.due(now).flatMap((guest) => this.#turnOut(guest));
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
    this.#streams.set(one.via, { user });
    this.#perUser.set(user, held + 1);
    const limits = [{ bucket: `bytestreams ${user}`, bytesPerSecond: bytesPerSecondPerUser }];
    return { actions: [{ do: "join", streams: [one.via, other.via], limits, idleSeconds }] };
  }

  #receive(now: Millis, { via, from, bytes }: Datagram): Action[] {
    const guest = this.#guests.get(via);
    const send = (bytes: Uint8Array): Action => ({ do: "send", via, to: from, bytes });
    if (!guest) {
      const mayStay = this.#hasRoomFor(from) && offersNoAuthentication(bytes);
      if (mayStay) this.#take({ via, from, hash: undefined }, now);
      return [send(writeMethod(mayStay)), ...(mayStay ? [] : [{ do: "hang-up", via } as const])];
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

  #hasRoomFor({ address }: Endpoint): boolean {
    const { waiting, waitingPerAddress } = this.#limits;
    return this.#guests.size < waiting && (this.#perHost.get(this.#hostOf(address)) ?? 0) < waitingPerAddress;
  }

  #take(guest: Guest, now: Millis): void {
    this.#guests.set(guest.via, guest);
    count(this.#perHost, this.#hostOf(guest.from.address), 1);
    this.#ends.file(guest, now + waitMillis);
  }

  /** It waits no longer, for whichever reason. */
  #forget(guest: Guest | undefined): void {
    if (!guest || !this.#guests.delete(guest.via)) return;
    this.#ends.strike(guest);
    count(this.#perHost, this.#hostOf(guest.from.address), -1);
    if (guest.hash === undefined) return;
    const rest = (this.#byHash.get(guest.hash) ?? []).filter((other) => other !== guest);
    if (rest.length > 0) this.#byHash.set(guest.hash, rest);
    else this.#byHash.delete(guest.hash);
  }

  #turnOut(guest: Guest): Action[] {
    this.#forget(guest);
    return [{ do: "hang-up", via: guest.via }];
  }

  #parted(now: Millis, first: SocketId, { toPeer, toClient }: Usage): void {
    const stream = this.#streams.get(first);
    if (!stream) return;
    const { user } = stream;
    this.#streams.delete(first);
    count(this.#perUser, user, -1);
    this.#spent.set(user, this.#spentBy(user, now) + toPeer.bytes + toClient.bytes);
  }

  #spentBy(user: string, now: Millis): number {
    const day = Math.floor(now / dayMillis);
    if (day !== this.#day) this.#spent.clear();
    this.#day = day;
    return this.#spent.get(user) ?? 0;
  }
}

function count(counts: Map<string, number>, key: string, change: 1 | -1): void {
  const next = (counts.get(key) ?? 0) + change;
  if (next > 0) counts.set(key, next);
  else counts.delete(key);
}
