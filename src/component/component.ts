// Sluice as a component of an XMPP server: what is answered to whom, over a connection that keeps itself up.

import type { Element } from "@xmpp/xml";
import type { Millis } from "../contract.ts";
import { answerIq, type XmppFact } from "../xmpp/iq.ts";
import { iqTable } from "../xmpp/iq-table.ts";
import type { ExternalService, IssuedCredential } from "../xmpp/xep0215-external-services.ts";
import { readDelegated } from "../xmpp/xep0355-delegation.ts";
import { Connection, type ConnectionFact, type Health } from "./connection.ts";
import { isReachable } from "./reachable.ts";

export interface ComponentOptions {
  /** `xmpp://host:port` of the server's component listener. */
  readonly service: string;
  /** The component's own address, as the server knows it. */
  readonly domain: string;
  readonly secret: string;
  /** Whose users get credentials, and whose servers may ask for them by delegation. The parent of `domain` if missing. */
  readonly domains?: readonly string[];
  /** What is offered. Entries whose host clients cannot reach are withheld, and reported once. */
  readonly services: readonly ExternalService[];
  /** Offers loopback and private addresses, too: for a try-out, or a closed network. */
  readonly allowPrivate?: boolean;
  /** Secret that keys the hash by which users are known: `mint` gets the hash, never the JID. */
  readonly userKey: string | Uint8Array;
  readonly mint: (userHash: string, now: Millis) => IssuedCredential;
  readonly version: string;
  readonly report: (fact: ComponentFact) => void;
  readonly now?: () => Millis;
}

/** No fact holds a JID of a user in clear. */
export type ComponentFact =
  | XmppFact
  | ConnectionFact
  | { readonly fact: "service-withheld"; readonly host: string }
  /** One of `domains` delegates to us. Others may say so, and are not believed. */
  | { readonly fact: "delegated"; readonly domain: string; readonly namespaces: readonly string[] };

export interface Component {
  state(): Health;
  /** Closes the stream; resolves when it is closed. */
  stop(): Promise<void>;
}

/** Connects in the background: what becomes of it is told in facts and by `state`. */
export function startComponent(options: ComponentOptions): Component {
  const { service, secret, report } = options;
  const domain = options.domain.toLowerCase();
  const domains = options.domains?.map((name) => name.toLowerCase()) ?? [parentOf(domain)];
  const table = iqTable({ ...options, domains, services: reachableServices(options) });
  const now = options.now ?? Date.now;

  const connection = new Connection({ service, domain, secret, server: domains[0] ?? domain, receive, report });
  connection.start();
  return { state: () => connection.state(), stop: () => connection.stop() };

  function receive(stanza: Element): Element | undefined {
    if (stanza.is("iq")) {
      const isForUs = stanza.attrs.to === domain;
      return answerIq(isForUs ? table : [], stanza, { now: now(), report });
    }
    const delegated = stanza.is("message") ? readDelegated(stanza) : undefined;
    if (delegated && domains.includes(delegated.domain)) report({ fact: "delegated", ...delegated });
    return undefined;
  }
}

function reachableServices({ services, allowPrivate = false, report }: ComponentOptions): ExternalService[] {
  const unreachable = new Set(services.map(({ host }) => host).filter((host) => !isReachable(host, allowPrivate)));
  for (const host of unreachable) report({ fact: "service-withheld", host });
  return services.filter(({ host }) => !unreachable.has(host));
}

function parentOf(domain: string): string {
  return domain.includes(".") ? domain.slice(domain.indexOf(".") + 1) : domain;
}
