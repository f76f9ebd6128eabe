// XEP-0199: an empty question, an empty answer.

import xml, { type Element } from "@xmpp/xml";
import type { Extension } from "./extension.ts";

const namespace = "urn:xmpp:ping";

export const pings: Extension = { rows: [{ type: "get", namespace, element: "ping", answer: () => undefined }] };

export function ping(): Element {
  return xml("ping", { xmlns: namespace });
}
