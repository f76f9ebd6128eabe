// How many replies strangers at one network can make us send: whoever forges that network's addresses floods it with no
// more than this. Fixed memory, and none of it a stranger's own.

import { Budget } from "../budget.ts";
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

/** A plane hands up some 40,000 packets a second: forged, they use up a hundred of the budget's buckets. */
export class ReplyBudget {
  readonly #budget: Budget;

  /** `key`: 16 random bytes or more. Without it nobody can tell which networks share a bucket. */
  constructor({ repliesPerSecond, burst }: ReplyRate, key: Uint8Array) {
    this.#budget = new Budget({ perSecond: repliesPerSecond, burst }, key);
  }

  /** Whether one more reply may go to this address; if so, it is spent. */
  admits(address: string, now: Millis): boolean {
    return this.#budget.admits(networkOf(address), now);
  }
}

/** The bytes of the /24 or /56 that an address is in. */
export function networkOf(address: string): Uint8Array {
  const bytes = parseAddress(address) ?? new Uint8Array();
  return bytes.subarray(0, bytes.length === 4 ? 3 : 7);
}
