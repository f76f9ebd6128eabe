// The token buckets of the native plane: its threads take from them (native/buckets.h), and which is whose stands here.

import assert from "node:assert";
import type { Millis, TrafficLimit } from "../contract.ts";
import type { Engine } from "./native-addon.ts";
import type { Direction, Limiter } from "./traffic-limits.ts";

/** That a relay port may name: `Limits::most`. */
const mostLimits = 4;

interface Bucket {
  readonly index: number;
  /** Relay ports of the engine that name it. */
  users: number;
}

export class NativeBuckets implements Limiter {
  readonly #engine: Engine;
  readonly #size: number;
  readonly #buckets = new Map<string, Bucket>();
  /** Those that no relay port of the engine names: remembered until they are full. */
  readonly #idle = new Set<string>();
  readonly #free: number[] = [];
  #used = 0;

  constructor(engine: Engine, size: number) {
    this.#engine = engine;
    this.#size = size;
  }

  /** The buckets of a relay port about to be opened; undefined if there is no room for more. */
  hold(limits: readonly TrafficLimit[]): readonly number[] | undefined {
    assert(limits.length <= mostLimits);
    const buckets = limits.map((limit) => this.#bucketOf(limit));
    if (!buckets.every((bucket) => bucket !== undefined)) return undefined;
    for (const bucket of buckets) bucket.users += 1;
    for (const { bucket } of limits) this.#idle.delete(bucket);
    return buckets.map(({ index }) => index);
  }

  /** No thread knows that relay port any more. */
  release(limits: readonly TrafficLimit[]): void {
    for (const { bucket: name } of limits) {
      const bucket = this.#buckets.get(name);
      assert(bucket, "a bucket that nobody holds");
      bucket.users -= 1;
      if (bucket.users === 0) this.#idle.add(name);
    }
  }

  admits(limits: readonly TrafficLimit[], direction: Direction, bytes: number, now: Millis): boolean {
    const buckets = limits.map((limit) => this.#bucketOf(limit)?.index);
    return (
      buckets.every((index) => index !== undefined) && this.#engine.admits(buckets, direction === "to-peer", bytes, now)
    );
  }

  sweep(now: Millis): void {
    for (const name of this.#idle) {
      const bucket = this.#buckets.get(name);
      if (!bucket || !this.#engine.isFull(bucket.index, now)) continue;
      this.#buckets.delete(name);
      this.#idle.delete(name);
      this.#free.push(bucket.index);
    }
  }

  #bucketOf(limit: TrafficLimit): Bucket | undefined {
    const known = this.#buckets.get(limit.bucket);
    if (known) return known;
    const index = this.#takeIndex();
    if (index === undefined) return undefined;
    this.#engine.beginBucket(index, nanosEach(limit.bytesPerSecond), nanosEach(limit.packetsPerSecond));
    const bucket = { index, users: 0 };
    this.#buckets.set(limit.bucket, bucket);
    this.#idle.add(limit.bucket);
    return bucket;
  }

  #takeIndex(): number | undefined {
    const free = this.#free.pop();
    if (free !== undefined || this.#used === this.#size) return free;
    this.#used += 1;
    return this.#used - 1;
  }
}

function nanosEach(perSecond: number | undefined): number {
  return perSecond === undefined ? 0 : 1e9 / perSecond;
}
