// Of an allocation whose client may come back from another address: which tickets are good, and where the client is
// expected next (RFC 8016 section 3.2).

import type { Action, Millis } from "../contract.ts";
import type { FiveTuple } from "./request.ts";

export class Roaming {
  /** Names the allocation in tickets. */
  readonly number: number;
  /** Of the ticket that its client is known to have, and of the last one that was given out. */
  #shown = 0;
  #last = 0;
  #next: FiveTuple | undefined;
  #answered: { readonly from: string; readonly transaction: string; readonly answer: Uint8Array } | undefined;

  constructor(number: number) {
    this.number = number;
  }

  /** Where its client has shown a ticket, and has not been heard of since. */
  get next(): FiveTuple | undefined {
    return this.#next;
  }

  /** A ticket is good until it is sure that the client has got the one after it. */
  accepts(issue: number): boolean {
    return issue === this.#shown || issue === this.#last;
  }

  /** The client is expected there, having shown ticket `issue`. Returns the issue of its next one. */
  expect(tuple: FiveTuple, issue: number): number {
    this.#shown = issue;
    this.#last += 1;
    this.#next = tuple;
    return this.#last;
  }

  /** The client has come where it was expected. */
  arrive(): void {
    this.#shown = this.#last;
    this.#next = undefined;
  }

  /** The client will not come there any more. */
  giveUp(): void {
    this.#next = undefined;
  }

  /** Keeps the answer to the last Refresh with a ticket, for retransmissions of it. */
  keep({ key }: FiveTuple, transaction: string, answer: Uint8Array): void {
    this.#answered = { from: key, transaction, answer };
  }

  answerTo({ key }: FiveTuple, transaction: string): Uint8Array | undefined {
    const answered = this.#answered;
    return answered?.from === key && answered.transaction === transaction ? answered.answer : undefined;
  }
}

/** Has a plane listen for who is expected there; until 0, no longer. */
export function expectation({ via, from }: FiveTuple, until: Millis): Action {
  return { do: "expect", via, from, until };
}
