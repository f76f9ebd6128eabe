// An end that nobody notices: no new allocations, and those that there are go on until they end, or until it takes too
// long. Whoever hands out credentials hangs up at once, so that a successor can have the place.

import type { Log } from "../admin/log.ts";
import type { Millis } from "../contract.ts";

export interface DrainOptions {
  /** Does what is to be done first. */
  readonly begin: () => void;
  /** How many are open of each kind that it waits for. */
  readonly left: () => Readonly<Record<string, number>>;
  readonly secondsAtMost: number;
  readonly now: () => Millis;
  readonly log: Pick<Log, "info" | "warn">;
}

/** Also how long it takes at the least: for what is being opened just now. */
const lookMillis = 1000;

export class Drain {
  readonly #options: DrainOptions;
  /** Resolves when there is nothing left to wait for, whoever began it. */
  readonly ended: Promise<void>;
  #watch: NodeJS.Timeout | undefined;
  #isUnderWay = false;
  #end = () => {};

  constructor(options: DrainOptions) {
    this.#options = options;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  get isUnderWay(): boolean {
    return this.#isUnderWay;
  }

  /** Asked a second time, it is the same drain. */
  begin(): void {
    if (!this.#isUnderWay) this.#run();
  }

  /** Looks no more. */
  stop(): void {
    clearInterval(this.#watch);
  }

  #run(): void {
    this.#isUnderWay = true;
    const { begin, left, secondsAtMost, now, log } = this.#options;
    const latest = now() + secondsAtMost * 1000;
    log.info("draining: no new allocations", { ...left(), secondsAtMost });
    begin();
    this.#watch = setInterval(() => {
      const isEmpty = Object.values(left()).every((open) => open === 0);
      if (!isEmpty && now() < latest) return;
      if (!isEmpty) log.warn("not drained in time: what is left ends now", left());
      else log.info("drained");
      this.stop();
      this.#end();
    }, lookMillis);
  }
}
