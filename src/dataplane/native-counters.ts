// Counters of the native plane, read where its threads write them (native/counters.h), without a call.

import type { DropReason, PlaneCounters, Traffic, Usage } from "../contract.ts";
import { transports } from "./native-addon.ts";

const numbersPerWorker = 48;
const numbersPerUsage = 4;

const families = [4, 6] as const;
const directions = ["to-peer", "to-client"] as const;
/** In the order of `Counters::relayed`. */
const rows = transports.flatMap((transport) =>
  families.flatMap((family) => directions.map((direction) => ({ transport, family, direction }))),
);
const firstDropped = rows.length * 2;
/** In the order of `Drop`. */
const dropReasons = [
  "no-channel",
  "no-permission",
  "forbidden-peer",
  "malformed",
  "limited",
  "congested",
  "flooded",
] as const;
const bindingsAt = firstDropped + dropReasons.length;
/** Behind those, and behind what threads have got of each other's. */
const challengesAt = bindingsAt + 2;

/** Pairs that there are numbers for. */
export const mostJoins = 8192;

export class NativeCounters {
  /** Packets that the threads handed up, and that the controller was not to be bothered with. */
  flooded = 0;
  /** Packets of clients that may not come in. */
  forbidden = 0;
  /** Orders that a thread could not take. */
  congested = 0;
  readonly #counters: BigUint64Array<ArrayBuffer>;
  readonly #relays: UsageTable;
  /** Of pairs of joined connections. */
  readonly joined = new UsageTable(mostJoins);

  constructor(workers: number, relays: number) {
    this.#counters = new BigUint64Array(workers * numbersPerWorker);
    this.#relays = new UsageTable(relays);
  }

  get memory(): { readonly counters: ArrayBuffer; readonly usage: ArrayBuffer; readonly joined: ArrayBuffer } {
    return { counters: this.#counters.buffer, usage: this.#relays.memory, joined: this.joined.memory };
  }

  relayed(): PlaneCounters["relayed"] {
    return rows
      .map((row, i) => ({ ...row, packets: this.#sum(i * 2), bytes: this.#sum(i * 2 + 1) }))
      .filter(({ packets }) => packets > 0);
  }

  /** By threads in place of the controller. */
  answered(): Pick<PlaneCounters, "bindings" | "challenges"> {
    return { bindings: this.#sum(bindingsAt), challenges: this.#sum(challengesAt) };
  }

  /** Together with those of another plane. */
  dropped(others: PlaneCounters["dropped"]): Record<DropReason, number> {
    const sums = { ...others };
    for (const [i, reason] of dropReasons.entries()) sums[reason] += this.#sum(firstDropped + i);
    sums.flooded += this.flooded;
    sums["forbidden-client"] += this.forbidden;
    sums.congested += this.congested;
    return sums;
  }

  /** Of the relay port in this slot. */
  usage(slot: number): Usage {
    return this.#relays.at(slot);
  }

  /** For the next relay port in this slot; no thread writes there while there is none. */
  clear(slot: number): void {
    this.#relays.clear(slot);
  }

  #sum(number: number): number {
    let sum = 0;
    for (let at = number; at < this.#counters.length; at += numbersPerWorker) sum += Number(this.#counters[at]);
    return sum;
  }
}

/** What each of something carried, by slot. */
export class UsageTable {
  readonly #numbers: BigUint64Array<ArrayBuffer>;

  constructor(slots: number) {
    this.#numbers = new BigUint64Array(slots * numbersPerUsage);
  }

  get memory(): ArrayBuffer {
    return this.#numbers.buffer;
  }

  at(slot: number): Usage {
    const first = slot * numbersPerUsage;
    return { toPeer: this.#traffic(first), toClient: this.#traffic(first + 2) };
  }

  clear(slot: number): void {
    this.#numbers.fill(0n, slot * numbersPerUsage, (slot + 1) * numbersPerUsage);
  }

  #traffic(at: number): Traffic {
    return { packets: Number(this.#numbers[at]), bytes: Number(this.#numbers[at + 1]) };
  }
}
