// Whether the server does its part, looked at over the stream that a running component has: one look at a time.

import type { Element } from "@xmpp/xml";
import type { Millis } from "../contract.ts";
import type { Connection } from "./connection.ts";
import { type Finding, Look, type LookOptions } from "./server-look.ts";

export interface OwnCheckOptions extends LookOptions {
  readonly line: Connection;
  readonly now: () => Millis;
}

/** Whoever asks again by then is told the same: nobody has the server asked without end. */
const freshMillis = 10_000;

export class OwnCheck {
  readonly #options: OwnCheckOptions;
  #latest: { readonly since: Millis; readonly findings: Promise<readonly Finding[]> } | undefined;
  /** The one that is under way. */
  #look: Look | undefined;

  constructor(options: OwnCheckOptions) {
    this.#options = options;
  }

  /** Is to be told of every stanza. Whether it was for nobody but a look. */
  hear(stanza: Element): boolean {
    return this.#look?.hear(stanza) ?? false;
  }

  findings(): Promise<readonly Finding[]> {
    const now = this.#options.now();
    const isFresh = this.#latest && (this.#look || now - this.#latest.since < freshMillis);
    if (!this.#latest || !isFresh) this.#latest = { since: now, findings: this.#find() };
    return this.#latest.findings;
  }

  async #find(): Promise<readonly Finding[]> {
    const { state, reason } = this.#options.line.state();
    if (state !== "online") return [{ wrong: `the relay's component is ${state}`, advice: reason || "wait a moment" }];
    this.#look = new Look(this.#options);
    const found = await this.#look.atAll().finally(() => {
      this.#look = undefined;
    });
    return [{ well: "the relay runs, and its component is online" }, ...found];
  }
}
