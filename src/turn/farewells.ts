// Answers to Refreshes that deleted, kept for retransmissions of them: the latest, and no more than fit.

/** Half of what is kept at most. */
const farewellsInOneGeneration = 2048;

interface Farewell {
  readonly transaction: string;
  /** As Latin-1: an array of bytes would hold on to the pool that it lies in, which is a hundred times as large. */
  readonly answer: string;
}

/**
 * By five-tuple, in two generations, of which the former goes when the present one is full. To take out the oldest of one
 * Map each time would have it step over all that were taken out before.
 */
export class Farewells {
  #present = new Map<string, Farewell>();
  #former: ReadonlyMap<string, Farewell> = new Map();

  /** The last word to a client, in place of the one before. */
  keep(key: string, transaction: string, answer: Uint8Array): void {
    if (this.#present.size >= farewellsInOneGeneration) {
      this.#former = this.#present;
      this.#present = new Map();
    }
    this.#present.set(key, { transaction, answer: Buffer.from(answer).toString("latin1") });
  }

  find(key: string, transaction: string): Uint8Array | undefined {
    const farewell = this.#present.get(key) ?? this.#former.get(key);
    return farewell?.transaction === transaction ? Buffer.from(farewell.answer, "latin1") : undefined;
  }
}
