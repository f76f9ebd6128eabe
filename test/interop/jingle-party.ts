// A plain XMPP client with as much of Jingle (XEP-0166) as it takes to send a file (XEP-0234) over SOCKS5 bytestreams
// (XEP-0260): both offer what they have, both try what they are offered, and whose proxy is taken activates it.

import { strict as assert } from "node:assert";
import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import { type Client, client } from "@xmpp/client";
import xml, { type Element } from "@xmpp/xml";
import { activate, type Carried, connectTo, hashOf, type StreamHost, sendFile, takeFile } from "./streamhosts.ts";

const jingle = "urn:xmpp:jingle:1";
const s5b = "urn:xmpp:jingle:transports:s5b:1";
const files = "urn:xmpp:jingle:apps:file-transfer:5";
const hashes = "urn:xmpp:hashes:2";
const contentName = "a-file-offer";

export interface Account {
  readonly service: string;
  readonly domain: string;
  readonly username: string;
  readonly password: string;
  readonly resource: string;
}

export interface Candidate extends StreamHost {
  readonly cid: string;
  readonly type: "direct" | "proxy";
  readonly priority: number;
}

type Role = "initiator" | "responder";

interface Session {
  readonly role: Role;
  readonly peer: string;
  readonly sid: string;
  readonly streamSid: string;
  readonly own: readonly Candidate[];
}

export interface Transferred {
  readonly file: Carried;
  /** The type of the candidate that was nominated, and who had offered it. */
  readonly by: readonly [Role, Candidate["type"]];
}

export class JingleParty {
  readonly jid: string;
  readonly session: Client;
  readonly #heard: Element[] = [];
  #wake = () => {};

  private constructor(session: Client, jid: string) {
    this.session = session;
    this.jid = jid;
    session.iqCallee.set(jingle, "jingle", ({ stanza }) => {
      this.#heard.push(stanza);
      this.#wake();
      return true;
    });
  }

  static async login(account: Account): Promise<JingleParty> {
    const session = client(account);
    session.on("error", () => {});
    const jid = await session.start();
    return new JingleParty(session, String(jid));
  }

  close(): Promise<unknown> {
    return this.session.stop();
  }

  /** Offers a file of so many random bytes. */
  async offer(peer: string, bytes: number, own: readonly Candidate[]): Promise<Transferred> {
    const [sid = "", streamSid = ""] = [randomBytes(8), randomBytes(8)].map((random) => random.toString("hex"));
    const session: Session = { role: "initiator", peer, sid, streamSid, own };
    const file = xml("file", {}, xml("name", {}, "noise"), xml("size", {}, String(bytes)), hash());
    const description = xml("description", { xmlns: files }, file);
    await this.#tell(session, "session-initiate", content(description, this.#offered(session)));
    const { transport } = await this.#hears("session-accept");
    const { socket, by } = await this.#connect(session, transport);
    const sent = await sendFile(socket, bytes);
    const checksum = { xmlns: files, creator: "initiator", name: contentName };
    await this.#tell(session, "session-info", xml("checksum", checksum, xml("file", {}, hash(sent.sha256))));
    const { element } = await this.#hears("session-terminate");
    assert(element.getChild("reason")?.getChild("success"));
    return { file: sent, by };
  }

  /** Takes the file that is offered next. */
  async take(own: readonly Candidate[]): Promise<Transferred> {
    const { from: peer, element, transport: offered } = await this.#hears("session-initiate");
    const description = element.getChild("content")?.getChild("description", files) ?? assert.fail();
    const session: Session = { role: "responder", peer, sid: element.attrs.sid, streamSid: offered.attrs.sid, own };
    await this.#tell(session, "session-accept", content(description, this.#offered(session)));
    const { socket, by } = await this.#connect(session, offered);
    const file = await takeFile(socket);
    socket.end();
    const { element: info } = await this.#hears("session-info");
    const said = info.getChild("checksum", files)?.getChild("file")?.getChildText("hash");
    assert.equal(said, Buffer.from(file.sha256, "hex").toString("base64"));
    await this.#tell(session, "session-terminate", xml("reason", {}, xml("success")));
    return { file, by };
  }

  /** Section 2.4: each says what it could connect to, and the better one is taken. */
  async #connect(session: Session, offered: Element): Promise<{ socket: Socket } & Pick<Transferred, "by">> {
    const theirs = offered.getChildren("candidate").map(({ attrs }) => candidateOf(attrs));
    const theirHash = offered.attrs.dstaddr ?? hashOf(session.streamSid, session.peer, this.jid);
    const tried = await firstOf(theirs, theirHash);
    const said = tried ? xml("candidate-used", { cid: tried.candidate.cid }) : xml("candidate-error");
    await this.#tell(session, "transport-info", content(transportOf(session, said)));
    const { transport } = await this.#hears("transport-info");
    const cid = transport.getChild("candidate-used")?.attrs.cid;
    const used = session.own.find((candidate) => candidate.cid === cid);
    const [own, peer]: Role[] = session.role === "initiator" ? ["initiator", "responder"] : ["responder", "initiator"];
    assert(own && peer);
    if (tried && !(used && isBetter(used, tried.candidate, session.role))) {
      if (tried.candidate.type === "proxy") await this.#isActivated(tried.candidate.cid);
      return { socket: tried.socket, by: [peer, tried.candidate.type] };
    }
    assert(used, "neither could connect");
    tried?.socket.destroy();
    return { socket: await this.#openOwn(session, used), by: [own, used.type] };
  }

  async #openOwn(session: Session, used: Candidate): Promise<Socket> {
    assert.equal(used.type, "proxy", "nobody can connect to what we offer directly");
    const socket = await connectTo(used, hashOf(session.streamSid, this.jid, session.peer));
    await activate(this.session, used.jid, session.streamSid, session.peer);
    await this.#tell(session, "transport-info", content(transportOf(session, xml("activated", { cid: used.cid }))));
    return socket;
  }

  async #isActivated(cid: string): Promise<void> {
    const { transport } = await this.#hears("transport-info");
    assert.equal(transport.getChild("activated")?.attrs.cid, cid);
  }

  #offered(session: Session): Element {
    const each = session.own.map((candidate) => xml("candidate", { ...candidate, port: String(candidate.port) }));
    const transport = transportOf(session, ...each);
    if (session.role === "initiator") transport.attrs.mode = "tcp";
    const hasProxy = session.own.some(({ type }) => type === "proxy");
    if (hasProxy) transport.attrs.dstaddr = hashOf(session.streamSid, this.jid, session.peer);
    return transport;
  }

  async #tell({ role, peer, sid }: Session, action: string, payload: Element): Promise<void> {
    const isFirst = action === "session-initiate" || action === "session-accept";
    const attributes = { xmlns: jingle, action, sid, ...(isFirst ? { [role]: this.jid } : {}) };
    await this.session.iqCaller.request(xml("iq", { type: "set", to: peer }, xml("jingle", attributes, payload)));
  }

  async #hears(action: string): Promise<{ from: string; element: Element; transport: Element }> {
    while (this.#heard.length === 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const stanza = this.#heard.shift();
    const element = stanza?.getChild("jingle", jingle) ?? assert.fail();
    assert.equal(element.attrs.action, action);
    const transport = element.getChild("content")?.getChild("transport", s5b) ?? xml("transport");
    return { from: stanza?.attrs.from, element, transport };
  }
}

function content(...children: Element[]): Element {
  return xml("content", { creator: "initiator", name: contentName, senders: "initiator" }, ...children);
}

function transportOf({ streamSid }: Session, ...children: Element[]): Element {
  return xml("transport", { xmlns: s5b, sid: streamSid }, ...children);
}

/** Without a value: which one is used. */
function hash(sha256?: string): Element {
  if (sha256 === undefined) return xml("hash-used", { xmlns: hashes, algo: "sha-256" });
  return xml("hash", { xmlns: hashes, algo: "sha-256" }, Buffer.from(sha256, "hex").toString("base64"));
}

function candidateOf({ cid, type, host, jid, port, priority }: Element["attrs"]): Candidate {
  return { cid, type, host, jid, port: Number(port), priority: Number(priority) };
}

/** In the order of their priority. */
async function firstOf(candidates: readonly Candidate[], hash: string) {
  const ordered = [...candidates].sort((one, other) => other.priority - one.priority);
  for (const candidate of ordered) {
    const socket = await connectTo(candidate, hash).catch(() => undefined);
    if (socket) return { candidate, socket };
  }
  return undefined;
}

/** Whether our own is nominated. Of two of one priority, what the initiator could connect to is. */
function isBetter(own: Candidate, theirs: Candidate, role: Role): boolean {
  return own.priority === theirs.priority ? role === "responder" : own.priority > theirs.priority;
}
