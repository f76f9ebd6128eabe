// The far end of a relay: a UDP socket that knows nothing of TURN.

import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { Inbox, patienceMilliseconds } from "./inbox.ts";
import { must } from "./requirement.ts";
import { type Endpoint, normalAddress } from "./wire.ts";

export interface Datagram {
  readonly payload: Buffer;
  readonly from: Endpoint;
}

export class Peer {
  readonly #socket: Socket;
  readonly #inbox = new Inbox<Datagram>();
  readonly at: Endpoint;
  #closed: Promise<void> | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    const { address, port } = socket.address();
    this.at = { address: normalAddress(address), port };
    socket.on("message", (payload, { address, port }) => {
      this.#inbox.put({ payload, from: { address: normalAddress(address), port } });
    });
    socket.on("error", () => {});
  }

  static async open(address: string): Promise<Peer> {
    const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
    socket.bind(0, address);
    await once(socket, "listening");
    return new Peer(socket);
  }

  send(to: Endpoint, payload: Uint8Array | string): void {
    this.#socket.send(payload, to.port, to.address);
  }

  /** The next datagram, or a failure. */
  async next(): Promise<Datagram> {
    const datagram = await this.#inbox.next();
    must(datagram, `nothing reached the peer within ${patienceMilliseconds} ms`);
    return datagram;
  }

  /** The next datagram, which must be `payload` and nothing before it. */
  async expect(payload: Uint8Array | string, from?: Endpoint): Promise<void> {
    const wanted = Buffer.from(payload);
    const datagram = await this.#inbox.next();
    must(datagram, `${shown(wanted)} did not reach the peer within ${patienceMilliseconds} ms`);
    must(datagram.payload.equals(wanted), `the peer got ${shown(datagram.payload)} instead of ${shown(wanted)}`);
    const isFrom = !from || (datagram.from.address === from.address && datagram.from.port === from.port);
    must(isFrom, `the peer got it from ${datagram.from.address}:${datagram.from.port}`);
  }

  /** May be called again. */
  close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => this.#socket.close(() => resolve()));
    return this.#closed;
  }
}

/** Payload in a few characters. */
export function shown(payload: Uint8Array): string {
  if (payload.length === 0) return "an empty datagram";
  const text = Buffer.from(payload).toString("latin1");
  return /^[\x20-\x7e]{1,40}$/.test(text) ? `"${text}"` : `${payload.length} bytes`;
}
