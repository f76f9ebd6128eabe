// Counters of the native plane, read where its threads write them (native/counters.h), without a call.

import type { DropReason, PlaneCounters, Traffic, Usage } from "../contract.ts";

const numbersPerWorker = 32;
const numbersPerRelay = 4;

/** In the order of `Counters::relayed`. */
const rows = [
  { transport: "udp", family: 4, direction: "to-peer" },
  { transport: "udp", family: 4, direction: "to-client" },
  { transport: "udp", family: 6, direction: "to-peer" },
  { transport: "udp", family: 6, direction: "to-client" },
  { transport: "dtls", family: 4, direction: "to-peer" },
  { transport: "dtls", family: 4, direction: "to-client" },
  { transport: "dtls", family: 6, direction: "to-peer" },
  { transport: "dtls", family: 6, direction: "to-client" },
] as const;
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

export class NativeCounters {
  /** Packets that the threads handed up, and that the controller was not to be bothered with. */
  flooded = 0;
  /** Packets of clients that may not come in. */
  forbidden = 0;
  /** Answers that a listener could not take, and orders that a thread could not. */
  congested = 0;
  readonly #counters: BigUint64Array<ArrayBuffer>;
  readonly #usage: BigUint64Array<ArrayBuffer>;

  constructor(workers: number, relays: number) {
    this.#counters = new BigUint64Array(workers * numbersPerWorker);
    this.#usage = new BigUint64Array(relays * numbersPerRelay);
  }

  get memory(): { readonly counters: ArrayBuffer; readonly usage: ArrayBuffer } {
    return { counters: this.#counters.buffer, usage: this.#usage.buffer };
  }

  relayed(): PlaneCounters["relayed"] {
    return rows
      .map((row, i) => ({ ...row, packets: this.#sum(i * 2), bytes: this.#sum(i * 2 + 1) }))
      .filter(({ packets }) => packets > 0);
  }

  get bindings(): number {
    return this.#sum(bindingsAt);
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
    const at = slot * numbersPerRelay;
    return { toPeer: this.#traffic(at), toClient: this.#traffic(at + 2) };
  }

  /** For the next relay port in this slot; no thread writes there while there is none. */
  clear(slot: number): void {
    this.#usage.fill(0n, slot * numbersPerRelay, (slot + 1) * numbersPerRelay);
  }

  #traffic(at: number): Traffic {
    return { packets: Number(this.#usage[at]), bytes: Number(this.#usage[at + 1]) };
  }

  #sum(number: number): number {
    let sum = 0;
    for (let at = number; at < this.#counters.length; at += numbersPerWorker) sum += Number(this.#counters[at]);
    return sum;
  }
}
