// When the threads of the native plane are woken for what they have been told.

import type { Millis } from "../contract.ts";
import type { Engine } from "./native-addon.ts";

/** How long a thread that sleeps may go without hearing that a relay port is to be closed. */
const lazyMillis = 10;

export class Flushes {
  readonly #engine: Engine;
  readonly #now: () => Millis;
  #urgent: NodeJS.Immediate | undefined;
  #lazy: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(engine: Engine, now: () => Millis) {
    this.#engine = engine;
    this.#now = now;
  }

  /** For what threads have to send: they are woken once for all of it. */
  soon(): void {
    if (this.#isStopped) return;
    this.#urgent ??= setImmediate(() => {
      this.#urgent = undefined;
      this.#engine.flush(this.#now(), false);
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

  /** With `all`, those as well whose orders wait for nothing. */
  now(all: boolean): void {
    this.#engine.flush(this.#now(), all);
  }

  stop(): void {
    this.#isStopped = true;
    clearImmediate(this.#urgent);
    clearTimeout(this.#lazy);
  }
}
