// XEP-0199: an empty question, an empty answer.

import xml, { type Element } from "@xmpp/xml";
import type { IqRow } from "./iq.ts";

export const pingNamespace = "urn:xmpp:ping";

export const pingRow: IqRow = { type: "get", namespace: pingNamespace, element: "ping", answer: () => undefined };

export function ping(): Element {
  return xml("ping", { xmlns: pingNamespace });
}
