// XEP-0115: all that service discovery says of us, as one short string in our presence.

import { createHash } from "node:crypto";
import xml, { type Element } from "@xmpp/xml";
import type { Description, Extension, InfoForm } from "./extension.ts";

const namespace = "http://jabber.org/protocol/caps";
/** Names this program; who asks at it, with the string behind it, is told what the string stands for. */
const program = "urn:x-sluice";

export const capabilities: Extension = { rows: [], features: [namespace] };

/** The node where `whole` is to be found again (section 6.2). */
export function capabilitiesNode(whole: Description): string {
  return `${program}#${verificationString(whole)}`;
}

/** What presence carries. */
export function writeCapabilities(whole: Description): Element {
  return xml("c", { xmlns: namespace, hash: "sha-1", node: program, ver: verificationString(whole) });
}

/** Section 5.1. SHA-1 is what everybody can verify; it is no secret, and nothing is believed for it. */
export function verificationString({ identities = [], features = [], forms = [] }: Description): string {
  const parts = [
    ...sorted(identities.map(({ category, type, name }) => `${category}/${type}//${name}`)),
    ...sorted(features),
    ...sorted(forms.map(formPart)),
  ];
  return createHash("sha1")
    .update(parts.map((part) => `${part}<`).join(""))
    .digest("base64");
}

function formPart({ type, fields }: InfoForm): string {
  const ordered = [...fields].sort((a, b) => byOctets(a.name, b.name));
  return [type, ...ordered.flatMap(({ name, values }) => [name, ...sorted(values)])].join("<");
}

function sorted(texts: readonly string[]): string[] {
  return [...texts].sort(byOctets);
}

function byOctets(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
