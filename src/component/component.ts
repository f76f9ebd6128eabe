// Sluice as a component of an XMPP server: what is answered to whom, over a connection that keeps itself up.

import { randomBytes } from "node:crypto";
import type { Millis } from "../contract.ts";
import { type OperatorConsoleOptions, operatorConsole } from "../xmpp/console/operator-console.ts";
import { Entity, type EntityOptions, type XmppInput } from "../xmpp/entity.ts";
import type { Extension } from "../xmpp/extension.ts";
import type { XmppFact } from "../xmpp/iq.ts";
import { isUserOf, type Jid } from "../xmpp/jid.ts";
import { type BytestreamsOptions, bytestreams } from "../xmpp/xep0065-bytestreams.ts";
import { type ExternalService, userHash } from "../xmpp/xep0215-external-services.ts";
import { type RelayNodes, relayNodes } from "../xmpp/xep0278-relay-nodes.ts";
import { Connection, type ConnectionFact, type Health } from "./connection.ts";
import { OwnCheck } from "./own-check.ts";
import { isReachable } from "./reachable.ts";
import { type Finding, ServerNotices } from "./server-look.ts";

export interface ComponentOptions extends Omit<EntityOptions, "domains" | "budgetKey" | "report" | "services"> {
  /** As they are when it starts, and whenever `renewServices` is called. */
  readonly services: () => readonly ExternalService[];
  /** `xmpp://host:port` of the server's component listener. */
  readonly service: string;
  readonly secret: string;
  /** Whose users get credentials, and whose servers may ask for them by delegation. The parent of `domain` if missing. */
  readonly domains?: readonly string[];
  /** Offers loopback and private addresses, too: for a try-out, or a closed network. Others are withheld, and reported. */
  readonly allowPrivate?: boolean;
  /** Commands for administrators, and for users about themselves. None without it. */
  readonly console?: Pick<OperatorConsoleOptions, "administrators" | "operations">;
  /** Opens channels of XEP-0278, which are offered where it is given. */
  readonly openChannel?: RelayNodes["open"];
  /** The proxy for file transfers. None without it. */
  readonly bytestreams?: Pick<BytestreamsOptions, "hosts" | "activate"> | undefined;
  readonly report: (fact: ComponentFact) => void;
  readonly now?: () => Millis;
}

/** No fact holds a JID of a user in clear. */
export type ComponentFact =
  | XmppFact
  | ConnectionFact
  /** `host` is one that no client could reach. */
  | { readonly fact: "service-withheld"; readonly host: string }
  /** An exception, which cost what was being judged, and nothing else. */
  | { readonly fact: "fault-of-ours"; readonly error: unknown };

export interface Component {
  state(): Health;
  /** Looks whether the server does its part. Whoever asks again within some seconds is told the same. */
  check(): Promise<readonly Finding[]>;
  /** Tells the devices of a user, named by his hash, that their credentials are void; `isDisabled` is to know it by now. */
  withdraw(user: string): void;
  /** What is offered may be something else now: whoever was told of other services, and is there, is sent what has changed. */
  renewServices(): void;
  /** Closes the stream; resolves when it is closed. */
  stop(): Promise<void>;
}

/** Connects in the background: what becomes of it is told in facts and by `state`. */
export function startComponent(options: ComponentOptions): Component {
  const { service, secret, report } = options;
  const domain = options.domain.toLowerCase();
  const domains = options.domains?.map((name) => name.toLowerCase()) ?? [parentOf(domain)];
  const now = options.now ?? Date.now;
  let offered = reachableServices(options);
  const services = () => offered;
  const who: Who = {
    jid: domain,
    isServed: (asker) => isUserOf(asker, domains),
    userOf: (user) => userHash(user, options.userKey),
  };
  const extensions = [
    ...(options.extensions ?? []),
    ...consoleOf(options, who),
    ...relayNodesOf({ ...options, services }, who),
    ...bytestreamsOf(options, who),
  ];
  const entity = new Entity({
    ...options,
    domain,
    domains,
    services,
    extensions,
    budgetKey: randomBytes(16),
    say: (stanza) => void connection.send(stanza).catch(() => undefined),
  });

  const judge = (input: XmppInput) => {
    try {
      return entity.handle(now(), input);
    } catch (error) {
      report({ fact: "fault-of-ours", error });
      return [];
    }
  };
  const notices = new ServerNotices(domains);
  const connection = new Connection({
    service,
    domain,
    secret,
    server: domains[0] ?? domain,
    receive(stanza) {
      notices.hear(stanza);
      return check.hear(stanza) ? [] : judge({ is: "stanza", stanza });
    },
    report(fact) {
      if (fact.fact === "component-state" && fact.state !== "online") notices.clear();
      report(fact);
    },
  });
  const check = new OwnCheck({ domain, line: connection, notices, hosts: domains, now });
  /** While the stream is down nothing is said unasked; pushes that come due meanwhile wait for it. */
  const handle = (input: XmppInput) => {
    if (connection.state().state !== "online") return;
    for (const stanza of judge(input)) connection.send(stanza).catch(() => undefined);
  };
  const ticks = setInterval(handle, 1000, { is: "ticked" });
  connection.start();
  return {
    state: () => connection.state(),
    check: () => check.findings(),
    renewServices() {
      const now = reachableServices(options);
      if (JSON.stringify(now) !== JSON.stringify(offered)) offered = now;
    },
    withdraw: (user) => handle({ is: "user-disabled", user }),
    stop() {
      clearInterval(ticks);
      return connection.stop();
    },
  };
}

/** Who we are, and who others are to us. */
interface Who {
  readonly jid: string;
  readonly isServed: (asker: Jid) => boolean;
  readonly userOf: (jid: Jid) => string;
}

function consoleOf({ console }: ComponentOptions, who: Who): Extension[] {
  return console ? [operatorConsole({ ...console, ...who, sessionKey: randomBytes(32) })] : [];
}

function relayNodesOf({ openChannel: open, services, isDisabled }: ComponentOptions, who: Who): Extension[] {
  const isServed = (asker: Jid, now: Millis) => who.isServed(asker) && !isDisabled?.(who.userOf(asker), now);
  return open ? [relayNodes({ ...who, isServed, services, open })] : [];
}

function bytestreamsOf(options: ComponentOptions, who: Who): Extension[] {
  const { bytestreams: proxy, isDisabled, allowPrivate = false, report } = options;
  if (!proxy) return [];
  const withheld = new Set(proxy.hosts().map(({ host }) => host));
  for (const host of withheld) if (!isReachable(host, allowPrivate)) report({ fact: "service-withheld", host });
  const hosts = () => proxy.hosts().filter(({ host }) => isReachable(host, allowPrivate));
  const isServed = (asker: Jid, now: Millis) => who.isServed(asker) && !isDisabled?.(who.userOf(asker), now);
  return [bytestreams({ ...proxy, ...who, hosts, isServed })];
}

function reachableServices({ services: list, allowPrivate = false, report }: ComponentOptions): ExternalService[] {
  const services = list();
  const unreachable = new Set(services.map(({ host }) => host).filter((host) => !isReachable(host, allowPrivate)));
  for (const host of unreachable) report({ fact: "service-withheld", host });
  return services.filter(({ host }) => !unreachable.has(host));
}

/** The domain that a component's own lies in: that of its server, mostly. */
export function parentOf(domain: string): string {
  return domain.includes(".") ? domain.slice(domain.indexOf(".") + 1) : domain;
}
