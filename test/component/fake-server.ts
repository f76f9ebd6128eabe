// An XMPP server as a component sees it (XEP-0114), in the hands of a test: it says what the test says, byte by byte.

import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import type { Element } from "@xmpp/xml";
import { StreamParser } from "../../src/component/stream-parser.ts";

const header =
  "<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams' " +
  "xmlns='jabber:component:accept' from='relay.example.org' id='stream-1'>";

export class FakeServer {
  readonly secret: string;
  readonly streams: FakeStream[] = [];
  #listener: Server | undefined;
  #port = 0;
  readonly #arrivals = new Waiting<FakeStream>();

  constructor(secret = "s3cret") {
    this.secret = secret;
  }

  get service(): string {
    return `xmpp://127.0.0.1:${this.#port}`;
  }

  /** At a free port, and at the same one when started again. */
  async start(): Promise<void> {
    this.#listener = createServer((socket) => {
      const stream = new FakeStream(socket);
      this.streams.push(stream);
      this.#arrivals.add(stream);
    }).listen(this.#port, "127.0.0.1");
    await once(this.#listener, "listening");
    this.#port = (this.#listener.address() as { port: number }).port;
  }

  /** Hangs up on everybody, and is not there any more. */
  async stop(): Promise<void> {
    for (const stream of this.streams) stream.socket.destroy();
    if (this.#listener?.listening) await once(this.#listener.close(), "close");
  }

  /** The next connection, as it is: nothing has been said to it. */
  arrival(): Promise<FakeStream> {
    return this.#arrivals.next();
  }

  /** The next connection, after the handshake. */
  async accept(): Promise<FakeStream> {
    const stream = await this.arrival();
    await stream.open();
    const digest = (await stream.next()).getText();
    const expected = createHash("sha1").update(`stream-1${this.secret}`).digest("hex");
    stream.send(digest === expected ? "<handshake/>" : streamError("not-authorized"));
    return stream;
  }
}

export class FakeStream {
  readonly socket: Socket;
  /** Resolves when the component has closed its stream, and when it has ended the connection. */
  readonly farewell: Promise<unknown>;
  readonly closed: Promise<unknown>;
  readonly #elements = new Waiting<Element>();
  readonly #started: Promise<unknown>;

  constructor(socket: Socket) {
    this.socket = socket.setNoDelay(true).setEncoding("utf8");
    const parser = new StreamParser({ characters: 1e9, depth: 1e9 }, () => {});
    this.#started = new Promise((started) => parser.on("start", started));
    this.farewell = new Promise((left) => parser.on("end", left));
    this.closed = new Promise((closed) => socket.once("close", closed));
    parser.on("element", (element) => this.#elements.add(element as Element));
    socket.on("data", (text: string) => parser.write(text));
    socket.on("error", () => {});
  }

  /** Answers the component's stream header. */
  async open(): Promise<void> {
    await this.#started;
    this.send(header);
  }

  send(said: string | Uint8Array): void {
    this.socket.write(said);
  }

  /** The next element that the component has sent. */
  next(): Promise<Element> {
    return this.#elements.next();
  }

  /** Whether what was sent before has been read: asks, and waits for the answer. */
  async settled(): Promise<void> {
    this.send(ping("settled"));
    const reply = await this.next();
    if (reply.attrs.id !== "settled") throw new Error(`something else was said before: ${reply}`);
  }
}

export function ping(id: string): string {
  return `<iq type='get' id='${id}' from='example.org' to='relay.example.org'><ping xmlns='urn:xmpp:ping'/></iq>`;
}

export function streamError(condition: string): string {
  const namespace = "urn:ietf:params:xml:ns:xmpp-streams";
  return `<stream:error><${condition} xmlns='${namespace}'/></stream:error></stream:stream>`;
}

/** Things that come, for those who wait for them, in order. */
class Waiting<Thing> {
  readonly #things: Thing[] = [];
  readonly #takers: ((thing: Thing) => void)[] = [];

  add(thing: Thing): void {
    const taker = this.#takers.shift();
    if (taker) taker(thing);
    else this.#things.push(thing);
  }

  next(): Promise<Thing> {
    const thing = this.#things.shift();
    return thing ? Promise.resolve(thing) : new Promise((taker) => this.#takers.push(taker));
  }
}
