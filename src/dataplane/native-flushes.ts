// When the threads of the native plane are woken for what they have been told to send or to do.

import type { Millis } from "../contract.ts";
import type { Engine } from "./native-addon.ts";

/** How long a thread that sleeps may go without hearing that a relay port is to be closed. */
const lazyMillis = 10;

export class Flushes {
  readonly #engine: Engine;
  readonly #now: () => Millis;
  #hasTurn = false;
  #urgent: NodeJS.Immediate | undefined;
  #lazy: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(engine: Engine, now: () => Millis) {
    this.#engine = engine;
    this.#now = now;
  }

  /** Whatever `act` has to send leaves together when it is done. */
  turn(act: () => void): void {
    this.#hasTurn = true;
    try {
      act();
    } finally {
      this.#hasTurn = false;
      this.now(false);
    }
  }

  /** For what is to be sent: with all of it that comes up in this turn, whosever that is. */
  soon(): void {
    if (this.#hasTurn || this.#isStopped) return;
    this.#urgent ??= setImmediate(() => {
      this.#urgent = undefined;
      this.now(false);
    });
  }

  /** For all else: it holds at once for packets that arrive from now on, whenever the thread hears of it. */
  later(): void {
    if (this.#isStopped) return;
    this.#lazy ??= setTimeout(() => {
      this.#lazy = undefined;
      this.now(true);
    }, lazyMillis);
  }

  /** With `all`, threads whose orders wait for nothing are woken, too. */
  now(all: boolean): void {
    if (!this.#isStopped) this.#engine.flush(this.#now(), all);
  }

  stop(): void {
    this.#isStopped = true;
    clearImmediate(this.#urgent);
    clearTimeout(this.#lazy);
  }
}
