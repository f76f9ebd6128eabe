// What a command is (XEP-0050): its name, who may run it, and what comes after which answers.

import type { Element } from "@xmpp/xml";
import type { Millis } from "../contract.ts";
import type { Jid } from "./jid.ts";
import type { Answers, Form } from "./xep0004-data-forms.ts";

export interface Asker {
  readonly jid: Jid;
  readonly now: Millis;
}

export type Stage =
  /** Something to fill in. With the answers to the last one, the command acts. */
  | { readonly asks: Form; readonly isLast: boolean }
  /** A page of a result that has more of them. */
  | { readonly shows: Element; readonly hasMore: boolean }
  /** The end, with a note or an empty one. */
  | { readonly done: string; readonly result?: Element; readonly isFailure?: boolean }
  /** The answers that came last cannot be taken, and why. */
  | { readonly wrong: string };

export type OpenStage = Extract<Stage, { asks: Form } | { shows: Element }>;

export interface Command {
  readonly node: string;
  readonly name: string;
  /** Asked anew at every step. */
  readonly mayRun: (asker: Jid) => boolean;
  /** Acts only when all answers are there: it is asked again for the stage before when the user goes back. */
  readonly next: (answers: readonly Answers[], asker: Asker) => Stage;
}
