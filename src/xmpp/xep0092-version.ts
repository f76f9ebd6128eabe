// XEP-0092: our name and version. The operating system is nobody's business.

import xml from "@xmpp/xml";
import type { IqRow } from "./iq.ts";

export const versionNamespace = "jabber:iq:version";

export function versionRow(name: string, version: string): IqRow {
  return {
    type: "get",
    namespace: versionNamespace,
    element: "query",
    answer: () => xml("query", { xmlns: versionNamespace }, xml("name", {}, name), xml("version", {}, version)),
  };
}
