// Every allocation: found by its five-tuple, counted against the quotas, and ended in time.

import { Calendar } from "../calendar.ts";
import type { Action, Fact, Family, Millis, SocketId } from "../contract.ts";
import { count } from "../counts.ts";
import { hostOf } from "../stun/address.ts";
import type { Allocation } from "./allocation.ts";
import { Farewells } from "./farewells.ts";
import type { Limits } from "./limits.ts";
import { connectionKey, type FiveTuple, type Refusal, refuse } from "./request.ts";
import { expectation, Roaming } from "./roaming.ts";

type ClosedFact = Extract<Fact, { fact: "allocation-closed" }>;

export class Allocations {
  readonly #limits: Limits;
  readonly #byTuple = new Map<string, Allocation>();
  /** By where the client is expected next. */
  readonly #expected = new Map<string, Allocation>();
  readonly #byRelay = new Map<SocketId, Allocation>();
  /** Those whose clients may come back from elsewhere. */
  readonly #byNumber = new Map<number, Allocation>();
  #lastNumber = 0;
  readonly #perUser = new Map<string, number>();
  readonly #perAddress = new Map<string, number>();
  readonly #ends = new Calendar<Allocation>();
  readonly #farewells = new Farewells();

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  get all(): Allocation[] {
    return [...this.#byTuple.values()];
  }

  get isFull(): boolean {
    return this.#byTuple.size >= this.#limits.allocations;
  }

  /** May be past its end, until `due` has given it out. */
  find({ key }: Pick<FiveTuple, "key">): Allocation | undefined {
    return this.#byTuple.get(key) ?? this.#expected.get(key);
  }

  /** The one that a stream connection has. */
  findByConnection(via: SocketId): Allocation | undefined {
    return this.find({ key: connectionKey(via) });
  }

  /** Why there cannot be one more for this user at this address, if there cannot. */
  refusalOfOneMore(user: string, tuple: FiveTuple): Refusal | undefined {
    const { allocationsPerUser } = this.#limits;
    if ((this.#perUser.get(user) ?? 0) >= allocationsPerUser) return refuse(486);
    if (!this.#hasRoomAt(tuple)) return refuse(486);
    return this.isFull ? refuse(508) : undefined;
  }

  /** Why this one cannot go there, if it cannot. */
  refusalToMove({ tuple }: Allocation, to: FiveTuple): Refusal | undefined {
    const isSameHost = hostOf(tuple.from.address) === hostOf(to.from.address);
    return isSameHost || this.#hasRoomAt(to) ? undefined : refuse(486);
  }

  #hasRoomAt({ from }: FiveTuple): boolean {
    return (this.#perAddress.get(hostOf(from.address)) ?? 0) < this.#limits.allocationsPerAddress;
  }

  add(allocation: Allocation): void {
    this.#byTuple.set(allocation.tuple.key, allocation);
    count(this.#perUser, allocation.user, 1);
    count(this.#perAddress, hostOf(allocation.tuple.from.address), 1);
    this.file(allocation);
  }

  findByRelay(relay: SocketId): Allocation | undefined {
    return this.#byRelay.get(relay);
  }

  /** To be called whenever `until` has changed, or there is a relay port more. */
  file(allocation: Allocation): void {
    for (const { relay } of allocation.ports) this.#byRelay.set(relay, allocation);
    this.#ends.file(allocation, allocation.until);
  }

  /** Its client may come back from elsewhere. */
  letRoam(allocation: Allocation): Roaming {
    this.#lastNumber += 1;
    const roaming = new Roaming(this.#lastNumber);
    allocation.roaming = roaming;
    this.#byNumber.set(roaming.number, allocation);
    return roaming;
  }

  /** The one whose `Roaming` has this number. */
  findRoaming(number: number): Allocation | undefined {
    return this.#byNumber.get(number);
  }

  /** What comes from there is its client's, too, as is what comes from where it is. */
  expect(allocation: Allocation, tuple: FiveTuple): void {
    this.#expected.set(tuple.key, allocation);
  }

  unexpect(tuple: FiveTuple): void {
    this.#expected.delete(tuple.key);
  }

  /** To be called before its tuple changes. */
  move(allocation: Allocation, to: FiveTuple): void {
    this.#byTuple.delete(allocation.tuple.key);
    this.#byTuple.set(to.key, allocation);
    count(this.#perAddress, hostOf(allocation.tuple.from.address), -1);
    count(this.#perAddress, hostOf(to.from.address), 1);
  }

  /** Takes it out and says what to do about it. One whose relay ports are still being opened is closed after that. */
  end(allocation: Allocation, why: ClosedFact["why"]): Action[] {
    const { key } = allocation.tuple;
    if (this.#byTuple.get(key) !== allocation) return [];
    this.#byTuple.delete(key);
    const expected = this.#forgetRoaming(allocation);
    this.#ends.strike(allocation);
    count(this.#perUser, allocation.user, -1);
    count(this.#perAddress, hostOf(allocation.tuple.from.address), -1);
    return [...expected, ...this.#close(allocation, allocation.families, why)];
  }

  #forgetRoaming({ roaming }: Allocation): Action[] {
    if (!roaming) return [];
    this.#byNumber.delete(roaming.number);
    if (!roaming.next) return [];
    this.unexpect(roaming.next);
    return [expectation(roaming.next, 0)];
  }

  /** Ends its relayed addresses of these families; with the last of them, all of it. */
  endPart(allocation: Allocation, families: readonly Family[], why: ClosedFact["why"]): Action[] {
    const isRest = allocation.families.every((family) => families.includes(family));
    if (isRest) return this.end(allocation, why);
    const actions = this.#close(allocation, families, why);
    this.file(allocation);
    return actions;
  }

  #close(allocation: Allocation, families: readonly Family[], why: ClosedFact["why"]): Action[] {
    const actions: Action[] = [];
    for (const family of families) {
      const relay = allocation.close(family)?.relay;
      if (relay === undefined) continue;
      this.#byRelay.delete(relay);
      actions.push({ do: "close-relay", relay });
      actions.push({ do: "report", fact: { fact: "allocation-closed", relay, user: allocation.user, why } });
    }
    return actions;
  }

  /** Ends what of it is past its end. */
  expire(allocation: Allocation, now: Millis): Action[] {
    if (allocation.until > now) return [];
    const expired = allocation.families.filter((family) => allocation.relayFor(family, now) === undefined);
    return this.endPart(allocation, expired, "expired");
  }

  /** Those of which something has come to its end. They are still there. */
  due(now: Millis): Allocation[] {
    return this.#ends.due(now);
  }

  /** Keeps the answer to a Refresh that deleted, for the case that it is lost. */
  bidFarewell(tuple: FiveTuple, transaction: string, answer: Uint8Array): void {
    this.#farewells.keep(tuple.key, transaction, answer);
  }

  farewell(tuple: FiveTuple, transaction: string): Uint8Array | undefined {
    return this.#farewells.find(tuple.key, transaction);
  }
}
