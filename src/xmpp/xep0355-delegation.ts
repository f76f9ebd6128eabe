// XEP-0355: the server hands us its users' IQs of a namespace, wrapped, and we answer in its name. Prosody speaks
// version 2, ejabberd version 1; each is answered as it asked.

import xml, { type Element } from "@xmpp/xml";
import type { Extension } from "./extension.ts";
import { answerIq, type IqRequest, type IqRow } from "./iq.ts";
import { bareJid, isServer, isUserOf, type Jid, parseJid } from "./jid.ts";
import { errorReply, type Refusal, refuse } from "./stanza-errors.ts";

export const delegationNamespaces = ["urn:xmpp:delegation:2", "urn:xmpp:delegation:1"] as const;
const forwardNamespace = "urn:xmpp:forward:0";
const clientNamespace = "jabber:client";

export interface Delegation {
  /** The servers that may speak for their users, in lower case. */
  readonly domains: readonly string[];
  /** What is answered in their name. */
  readonly extensions: readonly Extension[];
}

export function delegation({ domains, extensions }: Delegation): Extension {
  const table = extensions.flatMap(({ rows }) => rows);
  const nodes = delegationNodes(new Set(table.map(({ namespace }) => namespace)));
  return {
    rows: delegationNamespaces.map((namespace) => ({
      type: "set",
      namespace,
      element: "delegation",
      answer: (request) => answerDelegated(domains, table, namespace, request),
    })),
    describe(node) {
      const features = nodes.get(node);
      return features && { features };
    },
  };
}

/** The disco nodes where a server asks which features to report in its own name, and in its users' (section 7.2). */
function delegationNodes(delegated: ReadonlySet<string>): Map<string, readonly string[]> {
  return new Map(
    delegationNamespaces.flatMap((namespace) =>
      [...delegated].flatMap((name): [string, readonly string[]][] => [
        [`${namespace}::${name}`, [name]],
        [`${namespace}:bare:${name}`, []],
      ]),
    ),
  );
}

/** The namespaces that a server says it delegates to us (section 4.2); `undefined` for other messages. */
export function readDelegated(message: Element): { domain: string; namespaces: string[] } | undefined {
  const from = parseJid(message.attrs.from);
  const delegation = delegationNamespaces.map((name) => message.getChild("delegation", name)).find((child) => child);
  if (!from || !isServer(from) || !delegation) return undefined;
  const delegated = delegation.getChildren("delegated", delegation.getNS());
  return { domain: from.domain, namespaces: delegated.map((child) => String(child.attrs.namespace)) };
}

function answerDelegated(
  domains: readonly string[],
  table: readonly IqRow[],
  namespace: string,
  request: IqRequest,
): Element | Refusal {
  const { domain } = request.from;
  const mayDelegate = isServer(request.from) && domains.includes(domain);
  if (!mayDelegate) return refuse("forbidden", "delegation is taken from the servers that are configured");

  const forwarded = request.payload.getChild("forwarded", forwardNamespace);
  const inner = forwarded?.getChild("iq", clientNamespace);
  const asker = parseJid(inner?.attrs.from);
  if (!inner || !asker) return refuse("bad-request", "a delegation forwards one IQ");

  // A server forwards what strangers ask of it, too, and vouches for its own users only.
  const reply = isUserOf(asker, [domain])
    ? answerIq(isAskedOfServer(inner, domain, asker) ? table : [], inner, request)
    : errorReply(inner, refuse("forbidden"));
  if (!reply) return refuse("bad-request", "only requests are delegated");
  reply.attrs.xmlns = clientNamespace;
  return xml("delegation", { xmlns: namespace }, xml("forwarded", { xmlns: forwardNamespace }, reply));
}

/** What is asked of one's own account, a server answers as if it were asked itself. */
function isAskedOfServer(inner: Element, domain: string, asker: Jid): boolean {
  const { to } = inner.attrs;
  return to === undefined || to === domain || to === bareJid(asker);
}
