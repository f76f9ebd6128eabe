// What we answer to presence (RFC 6121). We are there for whoever we serve, keep no list of subscribers, and subscribe to
// nobody: whoever wants to see us asks, and whoever comes online has a probe sent to us, and so sees us again.

import xml, { type Element } from "@xmpp/xml";

/** How we stand to the sender. */
export interface Standing {
  /** The stanza is for the component itself, and not for some account or device at its domain. */
  readonly isForUs: boolean;
  readonly isServed: boolean;
  /** What we are able to do (XEP-0115). */
  readonly capabilities: Element;
}

export function answerPresence(stanza: Element, { isForUs, isServed, capabilities }: Standing): Element[] {
  const says = (type: string | undefined, ...children: Element[]) =>
    xml("presence", { type, from: stanza.attrs.to, to: stanza.attrs.from }, ...children);
  const { type } = stanza.attrs;
  // Sections 3.1.3 and 4.3.2: of nobody, and to nobody, there is a subscription.
  if (!isForUs || !isServed) return type === "subscribe" || type === "probe" ? [says("unsubscribed")] : [];
  if (type === "subscribe") return [says("subscribed"), says(undefined, capabilities)];
  if (type === "probe") return [says(undefined, capabilities)];
  if (type === "unsubscribe") return [says("unavailable")];
  return [];
}
