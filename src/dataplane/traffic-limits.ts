// How much passes through relay ports: token buckets that fill by themselves as time goes by, shared by name.

import type { Millis, PlaneCounters, TrafficLimit } from "../contract.ts";

export type Direction = PlaneCounters["relayed"][number]["direction"];

/** What was taken out of a bucket and has not flowed back by `at`. A second's worth is all that there is in one. */
interface Level {
  readonly limit: TrafficLimit;
  bytes: number;
  packets: number;
  at: Millis;
}

export interface Limiter {
  /** Whether there is something in all these buckets; if so, a packet of so many bytes is taken out of each of them. */
  admits(limits: readonly TrafficLimit[], direction: Direction, bytes: number, now: Millis): boolean;
  /** Forgets the buckets that are full: they are like new. */
  sweep(now: Millis): void;
}

export class TrafficLimits implements Limiter {
  /** By bucket. One that is not here is full. */
  readonly #levels: Readonly<Record<Direction, Map<string, Level>>> = { "to-peer": new Map(), "to-client": new Map() };

  admits(limits: readonly TrafficLimit[], direction: Direction, bytes: number, now: Millis): boolean {
    for (const limit of limits) {
      const level = this.#levelOf(limit, direction);
      refill(level, now);
      if (isEmpty(level)) return false;
    }
    for (const limit of limits) {
      const level = this.#levelOf(limit, direction);
      level.bytes += bytes;
      level.packets += 1;
    }
    return true;
  }

  sweep(now: Millis): void {
    for (const levels of Object.values(this.#levels)) {
      for (const [bucket, level] of levels) {
        refill(level, now);
        if (level.bytes === 0 && level.packets === 0) levels.delete(bucket);
      }
    }
  }

  /** How many buckets were not full when that was last looked at. */
  get size(): number {
    return this.#levels["to-peer"].size + this.#levels["to-client"].size;
  }

  #levelOf(limit: TrafficLimit, direction: Direction): Level {
    const levels = this.#levels[direction];
    const known = levels.get(limit.bucket);
    if (known) return known;
    const level = { limit, bytes: 0, packets: 0, at: 0 };
    levels.set(limit.bucket, level);
    return level;
  }
}

/** Finite, so that in no time nothing flows. */
const unlimited = Number.MAX_VALUE;

function refill(level: Level, now: Millis): void {
  const { bytesPerSecond = unlimited, packetsPerSecond = unlimited } = level.limit;
  const seconds = (now - level.at) / 1000;
  level.bytes = Math.max(0, level.bytes - bytesPerSecond * seconds);
  level.packets = Math.max(0, level.packets - packetsPerSecond * seconds);
  level.at = now;
}

function isEmpty({ limit, bytes, packets }: Level): boolean {
  const { bytesPerSecond = unlimited, packetsPerSecond = unlimited } = limit;
  return bytes >= bytesPerSecond || packets >= packetsPerSecond;
}
