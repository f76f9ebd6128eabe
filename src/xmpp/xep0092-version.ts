// XEP-0092: our name and version. The operating system is nobody's business.

import xml from "@xmpp/xml";
import type { Extension } from "./extension.ts";

const namespace = "jabber:iq:version";

export function softwareVersion(name: string, version: string): Extension {
  const answer = () => xml("query", { xmlns: namespace }, xml("name", {}, name), xml("version", {}, version));
  return { rows: [{ type: "get", namespace, element: "query", answer }] };
}
