// How many replies strangers at one network can make us send: whoever forges that network's addresses floods it with no
// more than this. Fixed memory, and none of it a stranger's own.

import { createHmac } from "node:crypto";
import type { Millis } from "../contract.ts";
import { parseAddress } from "../stun/address.ts";

/** For each /24 of IPv4 and /56 of IPv6: what one site has, or many sites that share a carrier's NAT. */
export interface ReplyRate {
  readonly repliesPerSecond: number;
  /** At once, after a while without any. */
  readonly burst: number;
}

/**
 * A call costs the caller some ten of these replies (a Binding and a 401 for each allocation, and retransmissions), so
 * one network can begin 50 calls a second, and 200 at once: more than the busiest of carrier NATs. Forged, that is a
 * flood of half a megabit a second, which hurts nobody.
 */
export const defaultReplyRate: ReplyRate = { repliesPerSecond: 500, burst: 2000 };

/** A plane hands up some 40,000 packets a second: forged, they use up a hundred buckets. A network shares one by chance. */
const buckets = 16_384;

export class ReplyBudget {
  readonly #key: Uint8Array;
  readonly #intervalMillis: number;
  readonly #burstMillis: number;
  /** When each bucket is full again; in the past, if it is. */
  readonly #fullAt = new Float64Array(buckets);

  /** `key`: 16 random bytes or more. Without it nobody can tell which networks share a bucket. */
  constructor({ repliesPerSecond, burst }: ReplyRate, key: Uint8Array) {
    this.#key = key;
    this.#intervalMillis = 1000 / repliesPerSecond;
    this.#burstMillis = burst * this.#intervalMillis;
  }

  /** Whether one more reply may go to this address; if so, it is spent. */
  admits(address: string, now: Millis): boolean {
    const bucket = this.#bucketOf(address);
    const fullAt = Math.max(this.#fullAt[bucket] ?? 0, now) + this.#intervalMillis;
    if (fullAt > now + this.#burstMillis) return false;
    this.#fullAt[bucket] = fullAt;
    return true;
  }

  #bucketOf(address: string): number {
    const bytes = parseAddress(address) ?? new Uint8Array();
    const network = bytes.subarray(0, bytes.length === 4 ? 3 : 7);
    return createHmac("sha256", this.#key).update("replies").update(network).digest().readUInt16BE() % buckets;
  }
}
