// How much STUN the controller is handed at most, so that a flood of it cannot starve the media on the same thread.

import type { Millis } from "../contract.ts";

export interface HandUpLimits {
  /** Packets a second from one address. Clients behind one NAT share it, and Send indications are STUN too. */
  readonly perAddress: number;
  /** Packets a second from all addresses, for a flood whose source addresses are forged. */
  readonly inTotal: number;
}

/** More than clients send in peace. A transaction costs the controller 10 to 100 µs, so more than this would fill its core. */
export const handUpLimits: HandUpLimits = { perAddress: 20_000, inTotal: 40_000 };

/** Slices, so that a flood takes its share of each moment, not the whole of the next one. */
const sliceMillis = 100;

export class HandUpBudget {
  readonly #perAddress: number;
  readonly #inTotal: number;
  readonly #spent = new Map<string, number>();
  #total = 0;
  #sliceEnds: Millis = Number.NEGATIVE_INFINITY;

  constructor({ perAddress, inTotal }: HandUpLimits) {
    this.#perAddress = Math.ceil((perAddress * sliceMillis) / 1000);
    this.#inTotal = Math.ceil((inTotal * sliceMillis) / 1000);
  }

  /** Whether one more packet from this address goes up; if so, it is spent. */
  admits(address: string, now: Millis): boolean {
    if (now >= this.#sliceEnds) this.#beginSlice(now);
    const spent = this.#spent.get(address) ?? 0;
    if (this.#total >= this.#inTotal || spent >= this.#perAddress) return false;
    this.#spent.set(address, spent + 1);
    this.#total += 1;
    return true;
  }

  #beginSlice(now: Millis): void {
    this.#sliceEnds = now + sliceMillis;
    this.#spent.clear();
    this.#total = 0;
  }
}
