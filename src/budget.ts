// How often strangers may have something, each by himself: token buckets in fixed memory, none of it a stranger's own.
// They share a bucket by chance, and nobody without the key can choose with whom.

import { createHmac } from "node:crypto";
import type { Millis } from "./contract.ts";

export interface BudgetRate {
  readonly perSecond: number;
  /** At once, after a while without any. */
  readonly burst: number;
}

const buckets = 16_384;

export class Budget {
  readonly #key: Uint8Array;
  readonly #intervalMillis: number;
  readonly #burstMillis: number;
  /** When each bucket is full again; in the past, if it is. */
  readonly #fullAt = new Float64Array(buckets);
  /** When all of them are. */
  #allFullAt: Millis = 0;

  /** `key`: 16 random bytes or more. */
  constructor({ perSecond, burst }: BudgetRate, key: Uint8Array) {
    this.#key = key;
    this.#intervalMillis = 1000 / perSecond;
    this.#burstMillis = burst * this.#intervalMillis;
  }

  /** Whether `who` may have one more; if so, it is spent. */
  admits(who: string | Uint8Array, now: Millis): boolean {
    const bucket = this.#bucketOf(who);
    const fullAt = this.#fullAtAfterOne(bucket, now);
    if (fullAt > now + this.#burstMillis) return false;
    this.#fullAt[bucket] = fullAt;
    this.#allFullAt = Math.max(this.#allFullAt, fullAt);
    return true;
  }

  /** Whether it would, without spending it. */
  hasMore(who: string | Uint8Array, now: Millis): boolean {
    return this.#fullAtAfterOne(this.#bucketOf(who), now) <= now + this.#burstMillis;
  }

  /** Whether nobody has had anything lately. */
  isFull(now: Millis): boolean {
    return this.#allFullAt <= now;
  }

  #bucketOf(who: string | Uint8Array): number {
    return createHmac("sha256", this.#key).update(who).digest().readUInt16BE() % buckets;
  }

  #fullAtAfterOne(bucket: number, now: Millis): Millis {
    return Math.max(this.#fullAt[bucket] ?? 0, now) + this.#intervalMillis;
  }
}
