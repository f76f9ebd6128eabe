// We, as others meet us over XMPP: one address, and what is answered to whatever is sent to it or beside it
// (RFC 6120 section 8, RFC 6121). Servers may hand several connections of ours the stanzas of one client: no answer depends
// on what came before.

import type { Element } from "@xmpp/xml";
import { Budget, type BudgetRate } from "../budget.ts";
import type { Machine, Millis } from "../contract.ts";
import { answerIq, type XmppFact } from "./iq.ts";
import { type IqTable, type IqTableOptions, iqTable } from "./iq-table.ts";
import { bareJid, isServer, isUserOf, type Jid, parseJid } from "./jid.ts";
import { answerPresence } from "./presence.ts";
import { ServicePushes } from "./service-pushes.ts";
import { errorReply, refuse } from "./stanza-errors.ts";
import { readDelegated } from "./xep0355-delegation.ts";
import { readPrivileges } from "./xep0356-privileges.ts";

export interface EntityOptions extends Omit<IqTableOptions, "informed"> {
  /** Our own address, in lower case. */
  readonly domain: string;
  /** What one account may ask for. */
  readonly rate?: BudgetRate;
  /** 16 random bytes or more. */
  readonly budgetKey: Uint8Array;
  readonly report: (fact: XmppFact) => void;
  /** Sends what is said later. */
  readonly say?: (stanza: Element) => void;
}

export type XmppInput =
  | { readonly is: "stanza"; readonly stanza: Element }
  | { readonly is: "ticked" }
  /** By its hash. It gets no more credentials while `isDisabled` says so, and is told that those it has are void. */
  | { readonly is: "user-disabled"; readonly user: string };

/** Ten devices that come online at once are within it, and whoever floods is answered with less work than he has. */
export const defaultRate: BudgetRate = { perSecond: 50, burst: 200 };

interface Envelope {
  readonly now: Millis;
  readonly from: Jid;
  /** The stanza is for the component itself, and not for some account or device at its domain. */
  readonly isForUs: boolean;
}

/** What it puts out are the stanzas to be sent. */
export class Entity implements Machine<XmppInput, Element> {
  readonly #options: EntityOptions;
  readonly #table: IqTable;
  readonly #budget: Budget;
  readonly #pushes: ServicePushes;

  constructor(options: EntityOptions) {
    this.#options = options;
    const { domain, domains, rate = defaultRate, budgetKey } = options;
    const pushes = new ServicePushes(domain, { ...options, isServed: (asker) => isUserOf(asker, domains) });
    this.#table = iqTable({
      ...options,
      informed: (asking, now, until) => pushes.promise(asking, now, until),
    });
    this.#budget = new Budget(rate, budgetKey);
    this.#pushes = pushes;
  }

  handle(now: Millis, input: XmppInput): Element[] {
    switch (input.is) {
      case "stanza":
        return this.#answer(now, input.stanza);
      case "ticked":
        return this.#pushes.due({ now, report: this.#options.report });
      case "user-disabled":
        return this.#pushes.withdraw(input.user);
    }
  }

  #answer(now: Millis, stanza: Element): Element[] {
    const { domain, report } = this.#options;
    const from = parseJid(stanza.attrs.from);
    const to = parseJid(stanza.attrs.to);
    // A server closes the stream of a component that answers in another name. And we do not talk to ourselves.
    if (!from || to?.domain !== domain || from.domain === domain) {
      report({ fact: "stanza-dropped", why: "misaddressed" });
      return [];
    }
    const envelope = { now, from, isForUs: isServer(to) };
    if (stanza.is("iq")) return this.#answerIq(stanza, envelope);
    if (stanza.is("presence")) return this.#answerPresence(stanza, envelope);
    if (stanza.is("message")) return this.#answerMessage(stanza, envelope);
    return [];
  }

  #answerIq(iq: Element, { now, isForUs }: Envelope): Element[] {
    const { report, say } = this.#options;
    const { type } = iq.attrs;
    if (type === "result" || type === "error") {
      if (!this.#pushes.answered(iq)) report({ fact: "stanza-dropped", why: "unexpected-reply" });
      return [];
    }
    const mayAsk = (asker: Jid) => this.#mayAsk(asker, now);
    const reply = answerIq(isForUs ? this.#table.rows : [], iq, { now, report, mayAsk, say });
    return reply ? [reply] : [];
  }

  #answerPresence(stanza: Element, { now, from, isForUs }: Envelope): Element[] {
    if (!this.#mayAsk(from, now)) return [];
    const { type } = stanza.attrs;
    if (type === "unavailable" || type === "error") this.#pushes.left(stanza.attrs.from);
    if (type === undefined && isForUs && from.resource !== "" && isUserOf(from, this.#options.domains)) {
      this.#pushes.arrived(stanza.attrs.from);
    }
    const isServed = isUserOf(from, this.#options.domains) || this.#isServedServer(from);
    return answerPresence(stanza, { isForUs, isServed, capabilities: this.#table.capabilities });
  }

  /** Nobody reads here what people write, so they are told (RFC 6121 section 8.5.1, from memory). */
  #answerMessage(message: Element, { now, from }: Envelope): Element[] {
    const delegated = readDelegated(message);
    if (delegated && this.#isServedServer(from)) this.#options.report({ fact: "delegated", ...delegated });
    const privileges = readPrivileges(message);
    if (privileges && this.#isServedServer(from)) this.#pushes.permit(privileges.domain, privileges.namespaces);
    const { type } = message.attrs;
    if (delegated || privileges || type === "error" || type === "headline" || !this.#mayAsk(from, now)) return [];
    return [errorReply(message, refuse("service-unavailable", "nobody reads messages here"))];
  }

  /** A server that asks in the name of its users is not counted, they are. */
  #mayAsk(asker: Jid, now: Millis): boolean {
    return this.#isServedServer(asker) || this.#budget.admits(bareJid(asker), now);
  }

  #isServedServer(jid: Jid): boolean {
    return isServer(jid) && this.#options.domains.includes(jid.domain);
  }
}
