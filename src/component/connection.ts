// One stream to an XMPP server as a component (XEP-0114), kept up for as long as it is wanted. It wraps @xmpp/component,
// and what the library does badly ends here: it reads UTF-8 chunk by chunk, matches replies by a guessable id alone,
// reconnects every second for ever, and throws at those who send while it is offline.

import { strict as assert } from "node:assert";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { Socket } from "node:net";
import { component, type Entity } from "@xmpp/component";
import xml, { type Element } from "@xmpp/xml";
import { Unavailable } from "../contract.ts";
import { errorReply, refuse } from "../xmpp/stanza-errors.ts";
import { ping } from "../xmpp/xep0199-ping.ts";
import { Questions } from "./questions.ts";
import { type StanzaLimits, StreamParser } from "./stream-parser.ts";
import { inXmlCharacters } from "./xml-characters.ts";

/** `refused`: the server answered and will not have us until somebody changes something; `reason` says what. */
export interface Health {
  readonly state: "connecting" | "online" | "offline" | "refused";
  readonly reason: string;
}

export type ConnectionFact =
  | { readonly fact: "component-state"; readonly state: Health["state"]; readonly reason: string }
  /** What an operator has to put right. */
  | { readonly fact: "component-refused"; readonly reason: string; readonly advice: string }
  | { readonly fact: "stanza-dropped"; readonly why: "oversize" };

export interface ConnectionOptions {
  /** `xmpp://host:port` of the server's component listener. */
  readonly service: string;
  /** Our own address. */
  readonly domain: string;
  readonly secret: string;
  /** The server's address: who is pinged to see that the stream lives. */
  readonly server: string;
  /** Judges a stanza that answers no question of ours; what it returns is sent. */
  readonly receive: (stanza: Element) => readonly Element[];
  readonly report: (fact: ConnectionFact) => void;
  /** From 0 up to, but without, 1: spreads the reconnects of many components. */
  readonly random?: () => number;
  readonly limits?: Partial<Limits>;
}

interface Limits extends StanzaLimits {
  /** Stanzas that wait for the stream to come up. */
  readonly queued: number;
  /** Bytes that the server may leave unread before the stream counts as dead. */
  readonly unsent: number;
}

/** From the first packet to the end of the handshake. */
const handshakeSeconds = 15;
const firstRetrySeconds = 1;
/** Retries wait twice as long each time, up to this long. Also the pace of retries while refused. */
const lastRetrySeconds = 60;
/** Silence after which the server is pinged. */
const idleSeconds = 60;
/** For an answer to any of the pings. */
const pingSeconds = 20;
/** For the server to close its stream when we close ours. */
const farewellSeconds = 2;

const defaultLimits: Limits = { characters: 512 * 1024, depth: 64, queued: 64, unsent: 8 * 1024 * 1024 };

const pings = 10;
const streamNamespace = "http://etherx.jabber.org/streams";

/** Stream errors that do not go away by trying again (RFC 6120 section 4.9.3), and what does help. */
const refusals: Readonly<Record<string, string>> = {
  "not-authorized": "the secret is not the one that the server has for this component",
  "host-unknown": "the server has no component of this name: configure it there",
  conflict: "another component is connected under this name: stop one of them, or give it another name",
  "invalid-namespace": "the server takes no components at this address and port",
};

interface Waiting {
  readonly stanza: Element;
  readonly sent: () => void;
  readonly failed: (why: Unavailable) => void;
}

export class Connection {
  readonly #options: ConnectionOptions;
  readonly #limits: Limits;
  readonly #questions = new Questions();
  #health: Health = { state: "offline", reason: "not started" };
  /** The attempt or stream that counts; what an earlier one still says is not heard. */
  #entity: Entity | undefined;
  #queue: Waiting[] = [];
  /** Attempts and short-lived streams in a row. */
  #failures = 0;
  #isStopped = false;
  #hasHeard = false;
  /** The one step that waits for time: the end of a handshake, a look at a silent stream, a retry, a farewell. */
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#limits = { ...defaultLimits, ...options.limits };
  }

  state(): Health {
    return this.#health;
  }

  /** Connects, and from then on reconnects, until stopped. What becomes of it is told in facts and by `state`. */
  start(): void {
    assert(this.#health.reason === "not started", "a connection is started once");
    this.#connect();
  }

  /** While the stream is not up, a stanza waits for it. Rejects with `Unavailable` when it will not be sent. */
  send(stanza: Element): Promise<void> {
    if (this.#entity && this.#health.state === "online") return this.#transmit(this.#entity, stanza);
    const why = this.#whyNotWait();
    if (why) return Promise.reject(new Unavailable(why));
    return new Promise((sent, failed) => this.#queue.push({ stanza, sent, failed }));
  }

  /** Resolves with the reply, be it a result or an error. Rejects with `Unavailable` when none came in time. */
  request(to: string, type: "get" | "set", payload: Element, timeoutSeconds = 30): Promise<Element> {
    const id = randomUUID();
    const reply = this.#questions.ask(id, to, timeoutSeconds);
    this.send(xml("iq", { type, id, from: this.#options.domain, to }, payload)).catch((why) =>
      this.#questions.fail(id, why),
    );
    return reply.finally(() => {
      this.#queue = this.#queue.filter(({ stanza }) => stanza.attrs.id !== id);
    });
  }

  /** Closes the stream as RFC 6120 section 4.4 asks, and resolves when the connection is gone. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#refuseQueue("the component was stopped");
    const entity = this.#entity;
    if (!entity) this.#rest("stopped");
    if (!entity?.socket) return;

    const gone = once(entity.socket, "close");
    const leave = () => this.#lose(entity, new Error("stopped"));
    if (this.#health.state === "online") {
      this.#after(farewellSeconds, leave);
      entity.write("</stream:stream>").catch(leave);
    } else leave();
    await gone;
  }

  #connect(): void {
    const { service, domain, secret } = this.#options;
    const { hostname, port } = new URL(service);
    // The library hashes the secret as Latin-1; servers hash its UTF-8 bytes.
    const password = Buffer.from(secret, "utf8").toString("latin1");
    const entity = component({ service, domain, password });
    entity.timeout = handshakeSeconds * 1000;
    entity.reconnect.stop();
    // Its own answers to IQs.
    entity.removeAllListeners("element");
    entity.Socket = openSocket;
    entity.Parser = StreamParser.bind(null, this.#limits, (stanza) => this.#refuseOversize(entity, stanza));
    entity.socketParameters = () => ({ host: hostname.replace(/^\[|\]$/g, ""), port: Number(port || 5347) });
    entity.on("error", (error) => this.#lose(entity, error));
    entity.on("close", () => this.#lose(entity, new Error("the server closed the stream")));
    entity.on("disconnect", () => this.#lose(entity, new Error("the connection ended")));
    entity.on("online", () => this.#greet(entity));
    // To the library <see-other-host/> is no error, but an address to follow.
    entity.on("nonza", (nonza: Element) => {
      const condition = nonza.getChildElements()[0]?.name;
      if (nonza.is("error", streamNamespace)) this.#lose(entity, new Error(`stream error ${condition}`));
    });
    entity.on("stanza", (stanza: Element) => this.#receive(entity, stanza));

    this.#entity = entity;
    if (this.#health.state !== "refused") this.#become("connecting", "");
    this.#after(handshakeSeconds, () => this.#lose(entity, new Error("the server did not answer in time")));
    // Not its `start`, which leaves a rejected promise to nobody when the stream fails while it opens.
    entity
      .connect(service)
      .then(() => entity.open({ domain }))
      .catch((error) => this.#lose(entity, error));
  }

  #greet(entity: Entity): void {
    if (entity !== this.#entity) return;
    this.#become("online", "");
    const queue = this.#queue;
    this.#queue = [];
    for (const { stanza, sent, failed } of queue) this.#transmit(entity, stanza).then(sent, failed);
    this.#watch(entity);
  }

  /** The end of a stream or of an attempt, however it came. */
  #lose(entity: Entity, cause: unknown): void {
    if (entity !== this.#entity) return;
    this.#entity = undefined;
    // It is not to come back by itself.
    entity.connect = () => Promise.reject(new Error("given up"));
    entity.socket?.destroy();

    const { condition, reason } = describe(cause);
    const lost = new Unavailable(`the XMPP server is gone: ${reason}`, { cause });
    if (this.#health.state === "online") this.#questions.failAll(lost);
    if (this.#isStopped) this.#rest("stopped");
    else this.#retry(reason, refusals[condition]);
  }

  /** `advice` is there for who is refused. */
  #retry(reason: string, advice: string | undefined): void {
    const pause = advice ? lastRetrySeconds : Math.min(lastRetrySeconds, firstRetrySeconds * 2 ** this.#failures);
    this.#failures += 1;
    const random = this.#options.random ?? Math.random;
    this.#after(pause * (0.5 + random() / 2), () => this.#connect());
    this.#become(advice ? "refused" : "offline", reason);
    if (!advice) return;
    this.#options.report({ fact: "component-refused", reason, advice });
    this.#refuseQueue(`the XMPP server refuses us: ${reason}`);
  }

  #receive(entity: Entity, stanza: Element): void {
    if (entity !== this.#entity) return;
    this.#hasHeard = true;
    if (isReply(stanza) && this.#questions.answer(stanza)) return;
    for (const said of this.#options.receive(stanza)) this.#say(entity, said);
  }

  #refuseOversize(entity: Entity, stanza: Element): void {
    this.#hasHeard = true;
    this.#options.report({ fact: "stanza-dropped", why: "oversize" });
    const { from, to } = stanza.attrs;
    if (!stanza.is("iq") || isReply(stanza) || !from || !to) return;
    this.#say(entity, errorReply(stanza, refuse("policy-violation", "the stanza is too large or too deep")));
  }

  #say(entity: Entity, stanza: Element): void {
    // If it cannot be sent, the stream is gone, and the server has answered in our place.
    this.#transmit(entity, stanza).catch(() => undefined);
  }

  async #transmit(entity: Entity, stanza: Element): Promise<void> {
    if ((entity.socket?.writableLength ?? 0) > this.#limits.unsent) {
      this.#lose(entity, new Error("the server does not read"));
    }
    try {
      await entity.send(inXmlCharacters(stanza));
    } catch (cause) {
      throw new Unavailable("the XMPP server is gone", { cause });
    }
  }

  /**
   * A dead TCP connection says nothing: after a silence the server has to answer a ping (XEP-0199). It is asked several
   * times, since one that balances between connections of our name may have given the answer to another.
   */
  #watch(entity: Entity): void {
    this.#hasHeard = false;
    this.#after(idleSeconds, async () => {
      this.#failures = 0;
      const patience = pingSeconds / pings;
      for (let asked = 0; asked < pings && !this.#hasHeard && entity === this.#entity; asked += 1) {
        await this.request(this.#options.server, "get", ping(), patience).catch(() => {});
      }
      if (entity !== this.#entity) return;
      if (this.#hasHeard) this.#watch(entity);
      else this.#lose(entity, new Error("the server does not answer a ping"));
    });
  }

  #whyNotWait(): string | undefined {
    if (this.#isStopped) return "the component was stopped";
    if (this.#health.state === "refused") return `the XMPP server refuses us: ${this.#health.reason}`;
    if (this.#queue.length >= this.#limits.queued) return "the XMPP server is gone, and too much waits for it already";
    return undefined;
  }

  #refuseQueue(why: string): void {
    for (const { failed } of this.#queue.splice(0)) failed(new Unavailable(why));
  }

  #rest(reason: string): void {
    clearTimeout(this.#timer);
    this.#become("offline", reason);
  }

  #become(state: Health["state"], reason: string): void {
    this.#health = { state, reason };
    this.#options.report({ fact: "component-state", state, reason });
  }

  #after(seconds: number, step: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(step, seconds * 1000);
  }
}

function isReply(stanza: Element): boolean {
  return stanza.is("iq") && (stanza.attrs.type === "result" || stanza.attrs.type === "error");
}

/** Called with `new` by the library. */
function openSocket(): Socket {
  return new Socket().setEncoding("utf8").setNoDelay(true).setKeepAlive(true, 60_000);
}

/** `condition` is that of a stream error, or empty. */
function describe(cause: unknown): { condition: string; reason: string } {
  const { condition = "", message = "", code = "", name = "" } = cause as Record<string, string>;
  return { condition, reason: message || code || name };
}
