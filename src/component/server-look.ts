// What a server does of its part, as seen from its component: whether it delegates XEP-0215 to us (XEP-0355), says so to its
// users, and lets us push (XEP-0356). What a user would ask is asked by an account of our own domain, which a server that
// delegates hands back to us, and we refuse.

import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import xml, { type Element } from "@xmpp/xml";
import { delegationNamespaces, readDelegated } from "../xmpp/xep0355-delegation.ts";
import { readPrivileges } from "../xmpp/xep0356-privileges.ts";
import type { Connection } from "./connection.ts";

export type Finding =
  | { readonly well: string }
  /** It works without, and better with it. */
  | { readonly lacking: string; readonly advice: string }
  /** What is wrong, and what helps. */
  | { readonly wrong: string; readonly advice: string };

const discoInfo = "http://jabber.org/protocol/disco#info";
const patienceSeconds = 5;
/** Servers ask us first what to say of us, and then say it. */
const settlingMillis = 5000;
const pollMillis = 100;
const namespace = "urn:xmpp:extdisco:2";

/** One line for people. */
export function findingText(finding: Finding): string {
  if ("well" in finding) return `ok     ${finding.well}`;
  if ("lacking" in finding) return `lacks  ${finding.lacking}: ${finding.advice}`;
  return `WRONG  ${finding.wrong}: ${finding.advice}`;
}

export function isWrong(finding: Finding): boolean {
  return "wrong" in finding;
}

/** What our servers say as they take us in, or change their minds. Others may say it too, and are not heard. */
export class ServerNotices {
  readonly #hosts: readonly string[];
  /** Hosts that say to delegate what we check, be it with others or in a message of its own. */
  readonly delegating = new Set<string>();
  /** Hosts that let us push that. */
  readonly permitting = new Set<string>();

  constructor(hosts: readonly string[]) {
    this.#hosts = hosts;
  }

  hear(stanza: Element): void {
    if (!stanza.is("message") || !this.#hosts.includes(stanza.attrs.from)) return;
    const delegated = readDelegated(stanza);
    if (delegated?.namespaces.includes(namespace)) this.delegating.add(delegated.domain);
    const privileges = readPrivileges(stanza);
    if (privileges?.namespaces.has(namespace)) this.permitting.add(privileges.domain);
  }

  /** Of a stream that is gone nothing holds. */
  clear(): void {
    this.delegating.clear();
    this.permitting.clear();
  }
}

export interface LookOptions {
  /** Our own. */
  readonly domain: string;
  /** A stream that is up. */
  readonly line: Pick<Connection, "request" | "send">;
  readonly notices: ServerNotices;
  /** Those that are to delegate to us. */
  readonly hosts: readonly string[];
}

export class Look {
  readonly #line: LookOptions["line"];
  readonly #notices: ServerNotices;
  readonly #hosts: readonly string[];
  /** Whom we ask as, so that the server does not take it for ours. */
  readonly #user: string;
  /** Those that handed us what that one asked them. */
  readonly #handed = new Set<string>();
  /** By id: who waits for the reply to that one. */
  readonly #asked = new Map<string, (reply: Element) => void>();

  constructor({ domain, line, notices, hosts }: LookOptions) {
    this.#line = line;
    this.#notices = notices;
    this.#hosts = hosts;
    this.#user = `setup-check@${domain}/check`;
  }

  /** Is to be told of every stanza. Whether it was for nobody but this look. */
  hear(stanza: Element): boolean {
    const { id, from, to } = stanza.attrs;
    const forwarded = delegationNamespaces.map((name) => stanza.getChild("delegation", name)?.getChild("forwarded"));
    const isHanded = forwarded.some((each) => each?.getChild("iq")?.attrs.from === this.#user);
    if (isHanded && this.#hosts.includes(from)) this.#handed.add(from);
    const answered = to === this.#user ? this.#asked.get(id) : undefined;
    answered?.(stanza);
    return answered !== undefined;
  }

  async atAll(): Promise<Finding[]> {
    const found = await Promise.all(this.#hosts.map((host) => this.#atHost(host)));
    return found.flat();
  }

  async #atHost(host: string): Promise<Finding[]> {
    const info = await this.#settledInfo(host).catch(() => undefined);
    if (!info) {
      const advice = "if another relay runs by this name, stop it while you check: the server may give it our answers";
      return [{ wrong: `${host} does not answer in time`, advice }];
    }
    if (info.attrs.type === "error") {
      return [
        { wrong: `${host} does not answer`, advice: `is it a host of this server? It says ${conditionOf(info)}` },
      ];
    }
    const features = featuresOf(info);
    const found: Finding[] = [{ well: `${host} answers service discovery` }, this.#delegation(host, features)];
    return found.some(isWrong) ? found : [...found, await this.#services(host, features), this.#pushes(host)];
  }

  /** What the host says of itself when it says what we wait for, or has had time to. */
  async #settledInfo(host: string): Promise<Element> {
    const deadline = performance.now() + settlingMillis;
    for (;;) {
      const info = await this.#line.request(host, "get", xml("query", { xmlns: discoInfo }), patienceSeconds);
      const isSettled = this.#notices.delegating.has(host) && featuresOf(info).includes(namespace);
      if (isSettled || info.attrs.type === "error" || performance.now() > deadline) return info;
      await pause(pollMillis);
    }
  }

  #delegation(host: string, features: readonly string[]): Finding {
    if (this.#notices.delegating.has(host)) return { well: `${host} delegates ${namespace}` };
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

  #pushes(host: string): Finding {
    if (this.#notices.permitting.has(host)) return { well: `${host} passes new credentials on to its users` };
    const advice =
      "clients ask again when they expire; Prosody does it with mod_privilege, and ejabberd 23.01 does not";
    return { lacking: `${host} does not let us push new credentials to its users`, advice };
  }

  async #askAsUser(host: string, payload: Element): Promise<Element | undefined> {
    const id = randomUUID();
    const reply = new Promise<Element>((resolve) => this.#asked.set(id, resolve));
    await this.#line.send(xml("iq", { type: "get", id, from: this.#user, to: host }, payload));
    return await Promise.race([reply, pause(patienceSeconds * 1000, undefined, { ref: false })]);
  }
}

function featuresOf(info: Element): string[] {
  return (info.getChild("query")?.getChildren("feature") ?? []).map(({ attrs }) => String(attrs.var));
}

function conditionOf(reply: Element | undefined): string {
  if (!reply) return "missing";
  return reply.getChild("error")?.getChildElements()[0]?.name ?? "a result";
}
