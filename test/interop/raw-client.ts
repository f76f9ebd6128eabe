// A client that says to its server what the test says, letter by letter, and is cheap enough to be a thousand.

import { once } from "node:events";
import { connect, type Socket } from "node:net";
import type { Element } from "@xmpp/xml";
import { StreamParser } from "../../src/component/stream-parser.ts";

export interface RawAccount {
  /** `xmpp://host:port`. */
  readonly service: string;
  readonly domain: string;
  readonly username: string;
  readonly password: string;
  readonly resource: string;
}

export class RawClient {
  readonly jid: string;
  /** Resolves when the connection is gone, whoever ended it. */
  readonly closed: Promise<unknown>;
  readonly #domain: string;
  readonly #socket: Socket;
  #parser = new StreamParser({ characters: 1e9, depth: 1e9 }, () => {});
  readonly #waiting = new Set<{ fits: (stanza: Element) => boolean; found: (stanza: Element) => void }>();

  private constructor({ domain, username, resource }: RawAccount, socket: Socket) {
    this.jid = `${username}@${domain}/${resource}`;
    this.#domain = domain;
    this.#socket = socket;
    this.closed = new Promise((closed) => socket.once("close", closed));
    socket.setEncoding("utf8").on("data", (text: string) => this.#parser.write(text));
    socket.on("error", () => {});
  }

  static async login(account: RawAccount): Promise<RawClient> {
    const { hostname, port } = new URL(account.service);
    const socket = connect(Number(port), hostname);
    await once(socket, "connect");
    const client = new RawClient(account, socket);
    await client.#open();
    const initial = Buffer.from(`\0${account.username}\0${account.password}`).toString("base64");
    client.send(`<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>${initial}</auth>`);
    await client.receives((stanza) => stanza.is("success"));
    await client.#open();
    const resource = `<resource>${account.resource}</resource>`;
    client.send(`<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>${resource}</bind></iq>`);
    await client.replyTo("b");
    return client;
  }

  send(said: string): void {
    this.#socket.write(said);
  }

  /** Sends an IQ and resolves with its reply. The payload is XML. */
  asks(to: string, payload: string, id = "q"): Promise<Element> {
    const reply = this.replyTo(id);
    this.send(`<iq type='get' id='${id}' to='${to}'>${payload}</iq>`);
    return reply;
  }

  replyTo(id: string): Promise<Element> {
    return this.receives(
      (stanza) => stanza.is("iq") && stanza.attrs.id === id && /result|error/.test(stanza.attrs.type),
    );
  }

  /** The next stanza that fits. */
  receives(fits: (stanza: Element) => boolean): Promise<Element> {
    return new Promise((found) => this.#waiting.add({ fits, found }));
  }

  /** Hangs up without a word, as clients do that lose their network. */
  async drop(): Promise<void> {
    if (this.#socket.destroyed) return;
    const closed = once(this.#socket, "close");
    this.#socket.destroy();
    await closed;
  }

  async #open(): Promise<void> {
    this.#parser = new StreamParser({ characters: 1e9, depth: 1e9 }, () => {});
    this.#parser.on("element", (stanza) => this.#heard(stanza as Element));
    const features = this.receives((stanza) => stanza.name === "stream:features");
    const namespaces = "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'";
    this.send(`<?xml version='1.0'?><stream:stream ${namespaces} to='${this.#domain}' version='1.0'>`);
    await features;
  }

  #heard(stanza: Element): void {
    for (const waiting of [...this.#waiting]) {
      if (!waiting.fits(stanza)) continue;
      this.#waiting.delete(waiting);
      waiting.found(stanza);
    }
  }
}
