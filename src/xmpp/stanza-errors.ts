// Answers to IQs: results, and the stanza errors of RFC 6120 section 8.3. A refusal is a value, not an exception.

import xml, { type Element } from "@xmpp/xml";

const stanzasNamespace = "urn:ietf:params:xml:ns:xmpp-stanzas";

/** Condition → the error type that RFC 6120 section 8.3.3 gives it. */
const errorTypes = {
  "bad-request": "modify",
  "feature-not-implemented": "cancel",
  forbidden: "auth",
  "internal-server-error": "cancel",
  "item-not-found": "cancel",
  "not-allowed": "cancel",
  "policy-violation": "modify",
  "resource-constraint": "wait",
  "service-unavailable": "cancel",
} as const;

export type Condition = keyof typeof errorTypes;

export interface Refusal {
  readonly refused: Condition;
  /** For whoever reads the client's log. */
  readonly text: string;
  /** Of the protocol in question (RFC 6120 section 8.3.4). */
  readonly detail?: { readonly name: string; readonly namespace: string };
  /** Where that protocol has another than RFC 6120. */
  readonly type?: ErrorType;
  /** What it is about, if that is to be sent back (RFC 6120 section 8.3.1, from memory). */
  readonly echo?: Element;
}

export type ErrorType = (typeof errorTypes)[Condition];

export function refuse(condition: Condition, text = "", more: Pick<Refusal, "detail" | "type"> = {}): Refusal {
  return { refused: condition, text, ...more };
}

export function resultReply(iq: Element, payload?: Element): Element {
  return reply(iq, "result", payload ? [payload] : []);
}

export function errorReply(iq: Element, { refused, text, detail, echo, type = errorTypes[refused] }: Refusal): Element {
  const condition = xml(refused, { xmlns: stanzasNamespace });
  const explanation = text === "" ? [] : [xml("text", { xmlns: stanzasNamespace, "xml:lang": "en" }, text)];
  const details = detail ? [xml(detail.name, { xmlns: detail.namespace })] : [];
  const error = xml("error", { type }, condition, ...explanation, ...details);
  return reply(iq, "error", echo ? [echo, error] : [error]);
}

function reply(iq: Element, type: "result" | "error", children: readonly Element[]): Element {
  return xml(iq.getName(), { type, from: iq.attrs.to, to: iq.attrs.from, id: iq.attrs.id }, ...children);
}
