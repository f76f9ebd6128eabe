// XEP-0356: what a server lets us say in its users' name. We use of it only what pushes need: IQs of type set.

import xml, { type Element } from "@xmpp/xml";
import { isServer, parseJid } from "./jid.ts";

const namespace = "urn:xmpp:privilege:2";
const forwardNamespace = "urn:xmpp:forward:0";
const clientNamespace = "jabber:client";

/** The namespaces of which a server takes such IQs from us (section 7.2); `undefined` for other messages. */
export function readPrivileges(message: Element): { domain: string; namespaces: ReadonlySet<string> } | undefined {
  const from = parseJid(message.attrs.from);
  const privilege = message.getChild("privilege", namespace);
  if (!from || !isServer(from) || !privilege) return undefined;
  const granted = privilege
    .getChildren("perm")
    .filter(({ attrs }) => attrs.access === "iq")
    .flatMap(namespacesIn)
    .filter(({ attrs }) => attrs.type === "set" || attrs.type === "both");
  return { domain: from.domain, namespaces: new Set(granted.map(({ attrs }) => String(attrs.ns))) };
}

/** Prosody 0.12's mod_privilege puts each namespace into the one before it. */
function namespacesIn(parent: Element): Element[] {
  return parent.getChildren("namespace").flatMap((each) => [each, ...namespacesIn(each)]);
}

/** An IQ that account `of` is to have sent to `to`; the server takes it from us at `from` (section 7.3). */
export function privilegedSet(iq: { from: string; of: string; to: string; id: string }, payload: Element): Element {
  const { from, of, to, id } = iq;
  const inner = xml("iq", { xmlns: clientNamespace, type: "set", id, to }, payload);
  return xml("iq", { type: "set", id, from, to: of }, xml("privileged_iq", { xmlns: namespace }, inner));
}

/** Whether the reply to such an IQ, or the one that the server hands on in it, is an error. */
export function isRefused(reply: Element): boolean {
  const inner = reply.getChild("privilege", namespace)?.getChild("forwarded", forwardNamespace)?.getChild("iq");
  return reply.attrs.type === "error" || inner?.attrs.type === "error";
}
