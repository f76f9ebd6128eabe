// How often the passwords that people may have chosen can be guessed at: for each of them, a little from each network. It
// counts the guesses and not the answers, which a guesser need not await.

import { Budget } from "../budget.ts";
import type { Endpoint, Millis } from "../contract.ts";
import { networkOf } from "./reply-budget.ts";

/** A client with an old password asks some ten times, once for each of its addresses and transports. */
const guessRate = { perSecond: 1, burst: 100 };

export interface Guess {
  readonly from: Endpoint;
  readonly username: string;
  /**
   * Whether a nonce shows that the sender is where he says. Others are counted apart, so that in somebody's name nobody
   * can shut out more than old nonces.
   */
  readonly isThere: boolean;
}

export class Guesses {
  readonly #budget: Budget;

  /** `key`: 16 random bytes or more. */
  constructor(key: Uint8Array) {
    this.#budget = new Budget(guessRate, key);
  }

  /** One was wrong. */
  count(guess: Guess, now: Millis): void {
    this.#budget.admits(whoOf(guess), now);
  }

  /** Whether even a right one is none now. Costs nothing while nobody guesses. */
  areTooMany(guess: () => Guess, now: Millis): boolean {
    return !this.#budget.isFull(now) && !this.#budget.hasMore(whoOf(guess()), now);
  }
}

function whoOf({ from, username, isThere }: Guess): string {
  const network = Buffer.from(networkOf(from.address)).toString("hex");
  return `guess ${isThere} ${network} ${username}`;
}
