// Looks at an XMPP server from where its component stands: whether it lets us in, delegates XEP-0215 to us (XEP-0355), and
// says so to its users. What a user would ask is asked by an account of our own domain, which a server that delegates hands
// back to us, and we refuse.

import { randomBytes, randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import xml, { type Element } from "@xmpp/xml";
import { Entity } from "../xmpp/entity.ts";

import { delegationNamespaces, readDelegated } from "../xmpp/xep0355-delegation.ts";
import { Connection, type ConnectionFact } from "./connection.ts";

export interface ServerCheckOptions {
  /** `xmpp://host:port` of the server's component listener. */
  readonly service: string;
  readonly domain: string;
  readonly secret: string;
  /** The server's domains that are to delegate to us. */
  readonly hosts: readonly string[];
}

export type Finding =
  | { readonly well: string }
  /** What is wrong, and what helps. */
  | { readonly wrong: string; readonly advice: string };

const discoInfo = "http://jabber.org/protocol/disco#info";
const patienceSeconds = 5;
/** Servers ask us first what to say of us, and then say it. */
const settlingMillis = 5000;
const pollMillis = 100;
const namespace = "urn:xmpp:extdisco:2";

/** In the order of looking: what comes after a connection that fails is left out. */
export async function checkServer(options: ServerCheckOptions): Promise<Finding[]> {
  const look = new Look(options);
  try {
    const connected = await look.connect();
    if ("wrong" in connected) return [connected];
    const ofHosts = await Promise.all(options.hosts.map((host) => look.atHost(host)));
    return [connected, ...ofHosts.flat()];
  } finally {
    await look.stop();
  }
}

class Look {
  readonly #options: ServerCheckOptions;
  readonly #entity: Entity;
  readonly #connection: Connection;
  /** Hosts that say to delegate what we check, be it with others or in a message of its own. */
  readonly #delegating = new Set<string>();
  /** Whom we ask as, so that the server does not take it for ours. */
  readonly #user: string;
  /** Hosts that handed us what that one asked them. */
  readonly #handed = new Set<string>();
  /** By id: who waits for the reply to that one. */
  readonly #asked = new Map<string, (reply: Element) => void>();
  #concluded: (finding: Finding) => void = () => {};

  constructor(options: ServerCheckOptions) {
    const { service, domain, secret, hosts } = options;
    this.#options = options;
    this.#user = `setup-check@${domain}/check`;
    this.#entity = new Entity({
      domain,
      domains: hosts,
      services: [],
      userKey: randomBytes(16),
      budgetKey: randomBytes(16),
      mint: () => ({ username: "", password: "", expires: 0 }),
      version: "",
      report: () => {},
    });
    this.#connection = new Connection({
      service,
      domain,
      secret,
      server: hosts[0] ?? domain,
      receive: (stanza) => this.#receive(stanza),
      report: (fact) => this.#hear(fact),
    });
  }

  connect(): Promise<Finding> {
    const concluded = new Promise<Finding>((resolve) => {
      this.#concluded = resolve;
    });
    this.#connection.start();
    return concluded;
  }

  stop(): Promise<void> {
    return this.#connection.stop();
  }

  async atHost(host: string): Promise<Finding[]> {
    const info = await this.#settledInfo(host).catch(() => undefined);
    if (!info) {
      const advice = "if the relay runs, stop it while you check: the server may give it our answers";
      return [{ wrong: `${host} does not answer in time`, advice }];
    }
    if (info.attrs.type === "error") {
      return [
        { wrong: `${host} does not answer`, advice: `is it a host of this server? It says ${conditionOf(info)}` },
      ];
    }
    const features = featuresOf(info);
    const found: Finding[] = [{ well: `${host} answers service discovery` }, this.#delegation(host, features)];
    return found.some((finding) => "wrong" in finding) ? found : [...found, await this.#services(host, features)];
  }

  /** What the host says of itself when it says what we wait for, or has had time to. */
  async #settledInfo(host: string): Promise<Element> {
    const deadline = performance.now() + settlingMillis;
    for (;;) {
      const info = await this.#connection.request(host, "get", xml("query", { xmlns: discoInfo }), patienceSeconds);
      const isSettled = this.#delegating.has(host) && featuresOf(info).includes(namespace);
      if (isSettled || info.attrs.type === "error" || performance.now() > deadline) return info;
      await pause(pollMillis);
    }
  }

  #hear(fact: ConnectionFact): void {
    const { service, domain } = this.#options;
    if (fact.fact === "component-refused") {
      this.#concluded({ wrong: `the server refuses ${domain} (${fact.reason})`, advice: adviceOn(fact) });
    } else if (fact.fact === "component-state" && fact.state === "online") {
      this.#concluded({ well: `connected to ${service} as ${domain}` });
    } else if (fact.fact === "component-state" && fact.state === "offline") {
      const advice = "does the server run, and does it take components at this address and port?";
      this.#concluded({ wrong: `no connection to ${service} (${fact.reason})`, advice });
    }
  }

  #receive(stanza: Element): Element[] {
    const { id, from, to } = stanza.attrs;
    const delegated = readDelegated(stanza);
    if (delegated?.namespaces.includes(namespace)) this.#delegating.add(delegated.domain);
    const forwarded = delegationNamespaces.map((name) => stanza.getChild("delegation", name)?.getChild("forwarded"));
    if (forwarded.some((each) => each?.getChild("iq")?.attrs.from === this.#user)) this.#handed.add(from);
    if (to === this.#user) this.#asked.get(id)?.(stanza);
    return this.#entity.handle(Date.now(), { is: "stanza", stanza });
  }

  #delegation(host: string, features: readonly string[]): Finding {
    if (this.#delegating.has(host)) return { well: `${host} delegates ${namespace}` };
    const hasModule = features.some((feature) => delegationNamespaces.some((name) => name === feature));
    const wrong = `${host} does not delegate ${namespace}`;
    if (!hasModule) return { wrong, advice: "its delegation module is not loaded at this host" };
    return { wrong, advice: "the module is loaded: is the namespace delegated to this component, by its exact name?" };
  }

  async #services(host: string, features: readonly string[]): Promise<Finding> {
    const reply = await this.#askAsUser(host, xml("services", { xmlns: namespace }));
    const others = "another module answers it, such as turn_external, external_services or mod_stun_disco: remove that";
    if (!this.#handed.has(host)) return { wrong: `${host} does not hand ${namespace} to us`, advice: others };
    if (conditionOf(reply) !== "forbidden") {
      const advice = `the answer was ${conditionOf(reply)}, where we refuse ourselves with forbidden`;
      return { wrong: `${host} does not pass on what we answer`, advice };
    }
    if (features.includes(namespace)) return { well: `${host} offers ${namespace}, and answers it through us` };
    const advice = "clients that look there first do not ask: restart the server while the component is connected";
    return { wrong: `${host} answers ${namespace} through us, and does not list it among its features`, advice };
  }

  async #askAsUser(host: string, payload: Element): Promise<Element | undefined> {
    const id = randomUUID();
    const reply = new Promise<Element>((resolve) => this.#asked.set(id, resolve));
    await this.#connection.send(xml("iq", { type: "get", id, from: this.#user, to: host }, payload));
    return await Promise.race([reply, pause(patienceSeconds * 1000, undefined, { ref: false })]);
  }
}

function featuresOf(info: Element): string[] {
  return (info.getChild("query")?.getChildren("feature") ?? []).map(({ attrs }) => String(attrs.var));
}

function adviceOn({ reason, advice }: Extract<ConnectionFact, { fact: "component-refused" }>): string {
  if (!reason.includes("conflict")) return advice;
  return "somebody is connected by this name. If it is this relay, stop it while you check; if not, choose another name";
}

function conditionOf(reply: Element | undefined): string {
  if (!reply) return "missing";
  return reply.getChild("error")?.getChildElements()[0]?.name ?? "a result";
}
