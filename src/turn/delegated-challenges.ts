// First Allocates over UDP, answered by a plane that can: a flood of them does not reach the machine then. The plane knows
// of no bans and of no other servers, so it is told only while there are none.

import type { Action, Challenge } from "../contract.ts";

export class DelegatedChallenges {
  readonly #challenge: Challenge | undefined;
  #isGiven = false;

  /** Undefined where no plane is to answer. */
  constructor(challenge: Challenge | undefined) {
    this.#challenge = challenge;
  }

  /** What the plane is to be told, if it does not know yet. */
  revise(isSimple: boolean): Action[] {
    const isToBeGiven = this.#challenge !== undefined && isSimple;
    if (isToBeGiven === this.#isGiven) return [];
    this.#isGiven = isToBeGiven;
    return [{ do: "challenge", by: isToBeGiven ? this.#challenge : undefined }];
  }
}
