// XEP-0030: who we are and what we can, gathered from all that there is. Nodes are answered by whose they are.

import xml, { type Element } from "@xmpp/xml";
import type { Description, Extension, InfoForm } from "./extension.ts";
import type { IqRequest } from "./iq.ts";
import { type Refusal, refuse } from "./stanza-errors.ts";
import { capabilitiesNode } from "./xep0115-capabilities.ts";

const infoNamespace = "http://jabber.org/protocol/disco#info";
const itemsNamespace = "http://jabber.org/protocol/disco#items";

/** Speaks for `extensions`, and for itself; `whole` is what it says of all of them together. */
export function disco(extensions: readonly Extension[]): { extension: Extension; whole: Description } {
  const whole = together(extensions);
  const capabilities = capabilitiesNode(whole);
  const describe = ({ payload, from }: IqRequest) => {
    const { node } = payload.attrs;
    if (!node || node === capabilities) return whole;
    return extensions.map((extension) => extension.describe?.(node, from)).find((description) => description);
  };
  return {
    whole,
    extension: {
      rows: [
        { type: "get", namespace: infoNamespace, element: "query", answer: (asked) => info(describe(asked), asked) },
        { type: "get", namespace: itemsNamespace, element: "query", answer: (asked) => items(describe(asked), asked) },
      ],
    },
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
    forms: extensions.flatMap(({ forms = [] }) => forms),
    items: extensions.flatMap(({ items = [] }) => items),
  };
}

type Described = Description | Refusal | undefined;

function info(description: Described, { payload }: IqRequest): Element | Refusal {
  if (!description) return refuse("item-not-found");
  if ("refused" in description) return description;
  const { identities = [], features = [], forms = [] } = description;
  return xml(
    "query",
    { xmlns: infoNamespace, node: payload.attrs.node },
    ...identities.map((identity) => xml("identity", { ...identity })),
    ...features.map((name) => xml("feature", { var: name })),
    ...forms.map(writeInfoForm),
  );
}

function items(description: Described, { payload }: IqRequest): Element | Refusal {
  if (!description) return refuse("item-not-found");
  if ("refused" in description) return description;
  const { items = [] } = description;
  return xml(
    "query",
    { xmlns: itemsNamespace, node: payload.attrs.node },
    ...items.map((item) => xml("item", { ...item })),
  );
}

function writeInfoForm({ type, fields }: InfoForm): Element {
  const field = (attributes: Record<string, string>, values: readonly string[]) =>
    xml("field", attributes, ...values.map((value) => xml("value", {}, value)));
  return xml(
    "x",
    { xmlns: "jabber:x:data", type: "result" },
    field({ var: "FORM_TYPE", type: "hidden" }, [type]),
    ...fields.map(({ name, values }) => field({ var: name }, values)),
  );
}
