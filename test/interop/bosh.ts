// A client over BOSH (XEP-0124, XEP-0206): one request at a time, each held by the server until it has something to say.

import xml, { type Element } from "@xmpp/xml";
import { parse } from "ltx";

const bodyNamespace = "http://jabber.org/protocol/httpbind";
const xmppNamespace = "urn:xmpp:xbosh";
const saslNamespace = "urn:ietf:params:xml:ns:xmpp-sasl";
/** In seconds: how long the server may hold a request, and how often it is asked again. */
const wait = 5;
const patience = 6;

export interface BoshAccount {
  readonly service: string;
  readonly domain: string;
  readonly username: string;
  readonly password: string;
}

export class BoshClient {
  readonly #service: string;
  readonly #domain: string;
  #rid = 1_000_000;
  #sid: string | undefined;

  private constructor({ service, domain }: BoshAccount) {
    this.#service = service;
    this.#domain = domain;
  }

  static async login(account: BoshAccount): Promise<BoshClient> {
    const client = new BoshClient(account);
    const opening = { to: account.domain, wait, hold: 1, ver: "1.6", content: "text/xml; charset=utf-8" };
    const opened = await client.#post({ ...opening, "xml:lang": "en", "xmpp:version": "1.0" });
    client.#sid = opened.attrs.sid;
    const initial = Buffer.from(`\0${account.username}\0${account.password}`).toString("base64");
    const login = xml("auth", { xmlns: saslNamespace, mechanism: "PLAIN" }, initial);
    const success = await client.#exchange(login, (element) => element.getNS() === saslNamespace);
    if (!success.is("success")) throw new Error(`not let in: ${success}`);
    await client.#post({ to: account.domain, "xmpp:restart": "true" });
    await client.request(xml("iq", { type: "set" }, xml("bind", { xmlns: "urn:ietf:params:xml:ns:xmpp-bind" })));
    return client;
  }

  /** Resolves with the reply, be it a result or an error. */
  request(iq: Element): Promise<Element> {
    iq.attrs.id = `bosh-${this.#rid}`;
    iq.attrs.xmlns = "jabber:client";
    return this.#exchange(iq, (element) => element.is("iq") && element.attrs.id === iq.attrs.id);
  }

  async stop(): Promise<void> {
    await this.#post({ type: "terminate" });
  }

  async #exchange(said: Element, isAnswer: (element: Element) => boolean): Promise<Element> {
    let body = await this.#post({}, said);
    for (let tries = 0; tries < patience; tries += 1) {
      const answer = body.getChildElements().find(isAnswer);
      if (answer) return answer;
      body = await this.#post({});
    }
    throw new Error(`no answer to ${said}`);
  }

  async #post(attributes: Record<string, string | number>, ...children: Element[]): Promise<Element> {
    this.#rid += 1;
    const session = { rid: this.#rid, sid: this.#sid, xmlns: bodyNamespace, "xmlns:xmpp": xmppNamespace };
    const request = xml("body", { ...session, ...attributes }, ...children);
    const headers = { "content-type": "text/xml; charset=utf-8", host: this.#domain };
    const response = await fetch(this.#service, { method: "POST", headers, body: String(request) });
    const body = parse(await response.text()) as Element;
    if (body.attrs.condition) throw new Error(`the server ended the session: ${body.attrs.condition}`);
    return body;
  }
}
