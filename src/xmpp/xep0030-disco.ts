// XEP-0030: who we are and what we can. Nodes are for what others say of us (XEP-0355 section 7.2).

import xml from "@xmpp/xml";
import type { IqRequest, IqRow } from "./iq.ts";
import { refuse } from "./stanza-errors.ts";

const infoNamespace = "http://jabber.org/protocol/disco#info";
const itemsNamespace = "http://jabber.org/protocol/disco#items";

export interface Disco {
  readonly identity: { readonly category: string; readonly type: string; readonly name: string };
  readonly features: readonly string[];
  /** Node → the features it reports. */
  readonly nodes: ReadonlyMap<string, readonly string[]>;
}

export function discoRows(disco: Disco): IqRow[] {
  return [
    { type: "get", namespace: infoNamespace, element: "query", answer: (request) => info(disco, request) },
    { type: "get", namespace: itemsNamespace, element: "query", answer: items },
  ];
}

function info(disco: Disco, { payload }: IqRequest) {
  const { node } = payload.attrs;
  const features = node ? disco.nodes.get(node) : [infoNamespace, itemsNamespace, ...disco.features];
  if (!features) return refuse("item-not-found");
  const identities = node ? [] : [xml("identity", { ...disco.identity })];
  return xml(
    "query",
    { xmlns: infoNamespace, node },
    ...identities,
    ...features.map((name) => xml("feature", { var: name })),
  );
}

function items({ payload }: IqRequest) {
  return payload.attrs.node ? refuse("item-not-found") : xml("query", { xmlns: itemsNamespace });
}
