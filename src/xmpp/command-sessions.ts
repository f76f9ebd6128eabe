// Commands that wait for their user's next step (XEP-0050 section 3.3): bounded, each one asker's own, and ended in time.

import { createHmac } from "node:crypto";
import type { Millis } from "../contract.ts";
import type { Command, OpenStage } from "./command.ts";
import { bareJid, type Jid } from "./jid.ts";
import type { Answers } from "./xep0004-data-forms.ts";

export interface Session {
  readonly command: Command;
  /** With the device: nobody goes on elsewhere. */
  readonly asker: Jid;
  readonly answers: readonly Answers[];
  /** The stage that these answers led to. */
  readonly stage: OpenStage;
}

const lifetimeMillis = 10 * 60_000;
/** Of too many the one that has waited longest ends. */
const sessionsAtMost = 256;
const sessionsPerUser = 8;

export class CommandSessions {
  readonly #key: string | Uint8Array;
  /** The one that has waited longest comes first. */
  readonly #sessions = new Map<string, Session & { readonly until: Millis }>();
  #named = 0;

  /** `key` makes ids that nobody guesses, and that are known again when their session is over. */
  constructor(key: string | Uint8Array) {
    this.#key = key;
  }

  newId(command: Command, asker: Jid): string {
    this.#named += 1;
    return this.#idOf(String(this.#named), command, asker);
  }

  find(id: string, command: Command, asker: Jid, now: Millis): Session | undefined {
    const session = this.#sessions.get(id);
    if (!session || session.until <= now) return undefined;
    return session.command === command && addressOf(session.asker) === addressOf(asker) ? session : undefined;
  }

  /** Whether this was once the id of such a session. */
  hasNamed(id: string, command: Command, asker: Jid): boolean {
    const [number = ""] = id.split("-");
    return this.#idOf(number, command, asker) === id;
  }

  keep(id: string, session: Session, now: Millis): void {
    this.#sessions.delete(id);
    for (const [each, { until }] of this.#sessions) if (until <= now) this.#sessions.delete(each);
    const user = bareJid(session.asker);
    const own = [...this.#sessions].filter(([, { asker }]) => bareJid(asker) === user);
    const [oldest] = own.length >= sessionsPerUser ? own : this.#sessions.size >= sessionsAtMost ? this.#sessions : [];
    if (oldest) this.#sessions.delete(oldest[0]);
    this.#sessions.set(id, { ...session, until: now + lifetimeMillis });
  }

  end(id: string): void {
    this.#sessions.delete(id);
  }

  #idOf(number: string, { node }: Command, asker: Jid): string {
    const hmac = createHmac("sha256", this.#key).update(`command session ${number} ${node} ${addressOf(asker)}`);
    return `${number}-${hmac.digest("hex").slice(0, 32)}`;
  }
}

function addressOf(jid: Jid): string {
  return `${bareJid(jid)}/${jid.resource}`;
}
