// XEP-0030: who we are and what we can, gathered from all that there is. Nodes are answered by whose they are.

import xml, { type Element } from "@xmpp/xml";
import type { Description, Extension } from "./extension.ts";
import type { IqRequest } from "./iq.ts";
import { type Refusal, refuse } from "./stanza-errors.ts";

const infoNamespace = "http://jabber.org/protocol/disco#info";
const itemsNamespace = "http://jabber.org/protocol/disco#items";

/** Speaks for `extensions`, and for itself. */
export function disco(extensions: readonly Extension[]): Extension {
  const whole = together(extensions);
  const described = (request: IqRequest) => descriptionOf(extensions, whole, request);
  return {
    rows: [
      {
        type: "get",
        namespace: infoNamespace,
        element: "query",
        answer: (request) => info(described(request), request),
      },
      {
        type: "get",
        namespace: itemsNamespace,
        element: "query",
        answer: (request) => items(described(request), request),
      },
    ],
  };
}

/** Without a node: everything at once, the same for everybody. */
function together(extensions: readonly Extension[]): Description {
  const features = extensions.flatMap(({ rows, features = [] }) => [
    ...rows.map(({ namespace }) => namespace),
    ...features,
  ]);
  return {
    identities: extensions.flatMap(({ identities = [] }) => identities),
    features: [...new Set([infoNamespace, itemsNamespace, ...features])],
    items: extensions.flatMap(({ items = [] }) => items),
  };
}

function descriptionOf(
  extensions: readonly Extension[],
  whole: Description,
  { payload, from }: IqRequest,
): Description | undefined {
  const { node } = payload.attrs;
  if (!node) return whole;
  for (const { describe } of extensions) {
    const description = describe?.(node, from);
    if (description) return description;
  }
  return undefined;
}

function info(description: Description | undefined, { payload }: IqRequest): Element | Refusal {
  if (!description) return refuse("item-not-found");
  const { identities = [], features = [] } = description;
  return xml(
    "query",
    { xmlns: infoNamespace, node: payload.attrs.node },
    ...identities.map((identity) => xml("identity", { ...identity })),
    ...features.map((name) => xml("feature", { var: name })),
  );
}

function items(description: Description | undefined, { payload }: IqRequest): Element | Refusal {
  if (!description) return refuse("item-not-found");
  const { items = [] } = description;
  return xml(
    "query",
    { xmlns: itemsNamespace, node: payload.attrs.node },
    ...items.map((item) => xml("item", { ...item })),
  );
}
