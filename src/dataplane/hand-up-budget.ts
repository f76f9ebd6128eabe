// How much STUN the controller is handed at most, so that a flood of it cannot starve the media on the same thread.

import type { Millis } from "../contract.ts";

export interface HandUpLimits {
  /** Packets a second from one address. Clients behind one NAT share it, and Send indications are STUN too. */
  readonly perAddress: number;
  /** Packets a second from all addresses, for a flood whose source addresses are forged. */
  readonly inTotal: number;
  /** Of the time of this thread, what the controller may take up with them; all of it if not said. */
  readonly shareOfTime?: number;
}

/** More than clients send in peace. A transaction costs the controller 10 to 100 µs, so more than this would fill its core. */
export const handUpLimits: HandUpLimits = { perAddress: 20_000, inTotal: 40_000 };

/** Slices, so that a flood takes its share of each moment, not the whole of the next one. */
const sliceMillis = 100;

/** In each slice, however long they take: few of them are no flood, but a machine that is busy with something else. */
const inAnyCase = 100;

export class HandUpBudget {
  readonly #perAddress: number;
  readonly #inTotal: number;
  readonly #mostMillis: Millis;
  readonly #spent = new Map<string, number>();
  #total = 0;
  #millis: Millis = 0;
  #sliceEnds: Millis = Number.NEGATIVE_INFINITY;

  constructor({ perAddress, inTotal, shareOfTime = Number.POSITIVE_INFINITY }: HandUpLimits) {
    this.#perAddress = Math.ceil((perAddress * sliceMillis) / 1000);
    this.#inTotal = Math.ceil((inTotal * sliceMillis) / 1000);
    this.#mostMillis = shareOfTime * sliceMillis;
  }

  /**
   * Whether one more packet from this address goes up; if so, it is spent. The share of time is asked of datagrams alone:
   * over a stream nobody asks again, and nobody forges his address.
   */
  admits(address: string, now: Millis, isDatagram = true): boolean {
    if (now >= this.#sliceEnds) this.#beginSlice(now);
    if (isDatagram && this.#millis >= this.#mostMillis && this.#total >= inAnyCase) return false;
    const spent = this.#spent.get(address) ?? 0;
    if (this.#total >= this.#inTotal || spent >= this.#perAddress) return false;
    this.#spent.set(address, spent + 1);
    this.#total += 1;
    return true;
  }

  /** The controller has taken so long for what went up. */
  took(millis: Millis): void {
    this.#millis += millis;
  }

  #beginSlice(now: Millis): void {
    this.#sliceEnds = now + sliceMillis;
    // Who took too long pays it back.
    this.#millis = Math.max(0, this.#millis - this.#mostMillis);
    this.#spent.clear();
    this.#total = 0;
  }
}
