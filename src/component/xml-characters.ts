// The characters that XML has (XML 1.0 section 2.2). TURN user names may have others, for which a server ends the stream.

import xml, { type Element } from "@xmpp/xml";

const others = /[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/gu;

/** A copy, with U+FFFD in the place of each character that XML does not have. */
export function inXmlCharacters({ name, attrs, children }: Element): Element {
  const attributes = Object.entries(attrs).map(([key, value]) => [key, ofXml(value)] as const);
  const inside = children.map((child) => (typeof child === "string" ? ofXml(child) : inXmlCharacters(child)));
  return xml(name, Object.fromEntries(attributes), ...inside);
}

function ofXml<Value>(value: Value): Value | string {
  return typeof value === "string" ? value.replace(others, "\u{FFFD}") : value;
}
