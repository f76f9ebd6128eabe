// One loop: an input comes, the machine decides, the plane performs. Once a second the machine hears that time passed.

import type { Action, Input, Machine, Millis } from "../contract.ts";

export interface LoopOptions<In, Out> {
  readonly machine: Machine<In | Ticked, Out>;
  readonly now: () => Millis;
  readonly perform: (action: Out) => void;
  /** Told of an exception, which is a fault of ours: it costs the input that met it, and nobody else anything. */
  readonly fault: (error: unknown) => void;
}

interface Ticked {
  readonly is: "ticked";
}

const tickMillis = 1000;

export class Loop<In = Input, Out = Action> {
  readonly #options: LoopOptions<In, Out>;
  readonly #inputs: (In | Ticked)[] = [];
  readonly #ticks: NodeJS.Timeout;
  #isHandling = false;
  #isStopped = false;

  constructor(options: LoopOptions<In, Out>) {
    this.#options = options;
    this.#ticks = setInterval(() => this.hand({ is: "ticked" }), tickMillis).unref();
  }

  /** What is handed in while an input is being handled waits until all its actions are performed. */
  hand(input: In | Ticked): void {
    if (this.#isStopped) return;
    this.#inputs.push(input);
    if (this.#isHandling) return;
    this.#isHandling = true;
    for (let next = this.#inputs.shift(); next; next = this.#inputs.shift()) {
      try {
        this.#handle(next);
      } catch (error) {
        this.#options.fault(error);
      }
    }
    this.#isHandling = false;
  }

  /** Nothing is handled or performed any more, not even what is under way. */
  stop(): void {
    this.#isStopped = true;
    this.#inputs.length = 0;
    clearInterval(this.#ticks);
  }

  #handle(input: In | Ticked): void {
    const { machine, now, perform } = this.#options;
    for (const action of machine.handle(now(), input)) {
      if (this.#isStopped) return;
      perform(action);
    }
  }
}
