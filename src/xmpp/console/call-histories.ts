// What the relay did for each user lately, so that he can be told why a call failed. Bounded, gone with the process, and
// without any address: what codes he was refused with, and what became of his relay ports.

import type { Fact, Millis, SocketId, Transport, Usage } from "../../contract.ts";
import type { XmppFact } from "../iq.ts";

export interface CallHistory {
  /** Those he got last over XMPP. */
  readonly credentials?: { readonly at: Millis; readonly until: Millis };
  /** The latest comes last. */
  readonly events: readonly CallEvent[];
}

export type CallEvent = Refused | Relayed;

export interface Refused {
  readonly is: "refused";
  readonly at: Millis;
  readonly method: string;
  /** Of STUN. */
  readonly code: number;
  /** In a row. */
  readonly times: number;
}

export interface Relayed {
  readonly is: "relayed";
  readonly at: Millis;
  readonly transport: Transport;
  readonly ended?: { readonly at: Millis; readonly why: Extract<Fact, { fact: "allocation-closed" }>["why"] };
  readonly usage?: Usage;
}

interface Kept {
  credentials?: { readonly at: Millis; readonly until: Millis };
  readonly events: CallEvent[];
}

/** Of too many the one that nothing happened to for longest is forgotten. */
const usersAtMost = 4096;
const eventsPerUser = 16;
/** The nonce was too old: the client asks again with another, and nothing is wrong. */
const staleNonce = 438;
/** To go on with a relay port that has ended: that it has, and why, is kept already. */
const allocationMismatch = 437;

export class CallHistories {
  readonly #users = new Map<string, Kept>();
  /** Relay ports that are open, and where they stand in their user's history. */
  readonly #relays = new Map<SocketId, { readonly user: string; event: Relayed }>();

  of(user: string): CallHistory {
    return this.#users.get(user) ?? { events: [] };
  }

  hear(now: Millis, fact: Fact | XmppFact): void {
    switch (fact.fact) {
      case "credentials-issued":
        this.#keptOf(fact.user).credentials = { at: now, until: fact.until };
        break;
      case "answered":
        this.#hearAnswer(now, fact);
        break;
      case "allocation-opened":
        this.#open(now, fact);
        break;
      case "allocation-closed":
        this.#change(fact.relay, { ended: { at: now, why: fact.why } });
        break;
      case "relay-closed":
        this.#change(fact.relay, { usage: fact.usage });
        this.#relays.delete(fact.relay);
        break;
    }
  }

  #hearAnswer(now: Millis, { method, code, user, claimed }: Extract<Fact, { fact: "answered" }>): void {
    const isTelling = code !== 0 && code !== staleNonce && (code !== allocationMismatch || method === "Allocate");
    if (!isTelling) return;
    // Anybody can say that he is somebody: that is kept for those who are known, and pushes nobody out.
    const kept = user === undefined ? this.#users.get(claimed ?? "") : this.#keptOf(user);
    if (!kept) return;
    const last = kept.events.at(-1);
    const isSame = last?.is === "refused" && last.method === method && last.code === code;
    if (isSame) kept.events.pop();
    keep(kept, { is: "refused", at: now, method, code, times: isSame ? last.times + 1 : 1 });
  }

  #open(now: Millis, { user, relay, transport }: Extract<Fact, { fact: "allocation-opened" }>): void {
    const event: Relayed = { is: "relayed", at: now, transport };
    keep(this.#keptOf(user), event);
    this.#relays.set(relay, { user, event });
  }

  #change(relay: SocketId, change: Partial<Relayed>): void {
    const open = this.#relays.get(relay);
    if (!open) return;
    const { events } = this.#users.get(open.user) ?? { events: [] };
    const changed = { ...open.event, ...change };
    const index = events.indexOf(open.event);
    if (index >= 0) events[index] = changed;
    open.event = changed;
  }

  #keptOf(user: string): Kept {
    const kept = this.#users.get(user) ?? { events: [] };
    const [oldest] = this.#users.keys();
    if (oldest !== undefined && this.#users.size >= usersAtMost && !this.#users.has(user)) this.#users.delete(oldest);
    this.#users.delete(user);
    this.#users.set(user, kept);
    return kept;
  }
}

function keep({ events }: Kept, event: CallEvent): void {
  if (events.length >= eventsPerUser) events.shift();
  events.push(event);
}
