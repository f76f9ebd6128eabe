// How an IQ finds the row that answers it, and what holds for every row (RFC 6120 section 8.2.3).

import type { Element } from "@xmpp/xml";
import type { Millis } from "../contract.ts";
import { type Jid, parseJid } from "./jid.ts";
import { type Condition, errorReply, type Refusal, refuse, resultReply } from "./stanza-errors.ts";

/** What happened, for logs and metrics. No fact holds a JID in clear: `user` is its keyed hash. */
export type XmppFact =
  /** `what` is `namespace element` of the row, or `unknown`; `condition` is missing when the answer was a result. */
  | { readonly fact: "iq-answered"; readonly what: string; readonly condition?: Condition }
  | { readonly fact: "iq-handler-failed"; readonly what: string; readonly error: unknown }
  | { readonly fact: "stanza-dropped"; readonly why: "misaddressed" | "unexpected-reply" }
  /** One of our domains delegates to us. Others may say so, and are not believed. */
  | { readonly fact: "delegated"; readonly domain: string; readonly namespaces: readonly string[] }
  | { readonly fact: "credentials-issued"; readonly user: string; readonly until: Millis }
  /** `what` is the command's node, and `user` who ran it to its end. */
  | { readonly fact: "command-run"; readonly what: string; readonly user: string; readonly outcome: "done" | "failed" };

export interface Surroundings {
  readonly now: Millis;
  readonly report: (fact: XmppFact) => void;
  /** Whether one more request of `asker` is worked on; it is counted. All are, where it is not given. */
  readonly mayAsk?: (asker: Jid) => boolean;
  /** Sends what is said later. Where it is not given, nothing can be postponed. */
  readonly say?: ((stanza: Element) => void) | undefined;
}

/** The answer comes when `conclude` is called with it, once. */
export interface Postponed {
  readonly postponed: (conclude: (outcome: Element | Refusal | undefined) => void) => void;
}

export interface IqRequest extends Surroundings {
  readonly iq: Element;
  readonly from: Jid;
  /** The one child of the IQ. */
  readonly payload: Element;
}

export interface IqRow {
  readonly type: "get" | "set";
  readonly namespace: string;
  readonly element: string;
  /** The payload of the result (or nothing, for an empty result), or why not. */
  readonly answer: (request: IqRequest) => Element | Refusal | Postponed | undefined;
}

/** The reply to `iq`; `undefined` for results and errors, when there is nobody to answer, and for what is answered later. */
export function answerIq(table: readonly IqRow[], iq: Element, surroundings: Surroundings): Element | undefined {
  const { type } = iq.attrs;
  const from = parseJid(iq.attrs.from);
  if (type === "result" || type === "error" || !from) return undefined;

  const [payload] = iq.getChildElements();
  const row = payload && table.find((row) => row.type === type && payload.is(row.element, row.namespace));
  const what = row ? `${row.namespace} ${row.element}` : "unknown";
  const outcome =
    (surroundings.mayAsk?.(from) ?? true)
      ? (findFault(iq) ??
        (row ? attempt(row, what, { ...surroundings, iq, from, payload }) : refuseUnknown(table, payload)))
      : refuse("resource-constraint", "too many requests: ask again in a while");

  const conclude = (outcome: Element | Refusal | undefined): Element => {
    const condition = outcome && "refused" in outcome ? { condition: outcome.refused } : {};
    surroundings.report({ fact: "iq-answered", what, ...condition });
    return outcome && "refused" in outcome ? errorReply(iq, outcome) : resultReply(iq, outcome);
  };
  if (!outcome || !("postponed" in outcome)) return conclude(outcome);
  const { say } = surroundings;
  if (!say) return conclude(refuse("service-unavailable"));
  outcome.postponed((later) => say(conclude(later)));
  return undefined;
}

/** Of a namespace that we know, somebody may expect more than there is (RFC 6120 section 8.3.3.3, from memory). */
function refuseUnknown(table: readonly IqRow[], payload: Element | undefined): Refusal {
  const isKnown = payload && table.some(({ namespace }) => namespace === payload.getNS());
  return refuse(isKnown ? "feature-not-implemented" : "service-unavailable");
}

function findFault(iq: Element): Refusal | undefined {
  const { type, id } = iq.attrs;
  if (type !== "get" && type !== "set") return refuse("bad-request", "the type is neither get, set, result nor error");
  if (!id) return refuse("bad-request", "the id is missing");
  if (iq.getChildElements().length !== 1) return refuse("bad-request", "a request has exactly one child element");
  return undefined;
}

function attempt(row: IqRow, what: string, request: IqRequest): Element | Refusal | Postponed | undefined {
  try {
    return row.answer(request);
  } catch (error) {
    request.report({ fact: "iq-handler-failed", what, error });
    return refuse("internal-server-error");
  }
}
