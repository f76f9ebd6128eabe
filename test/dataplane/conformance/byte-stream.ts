// What tests of joined connections have at their ends.

import type { Socket } from "node:net";
import { encode } from "../../../src/stun/message.ts";
import { closeOf, until } from "../rig.ts";

/** One end of a byte stream, with all that it has got. */
export class ByteStream {
  readonly socket: Socket;
  readonly closed: Promise<unknown>;
  readonly #carrier: Socket;
  #got = Buffer.alloc(0);
  hasEnded = false;

  /** What carries it is something else if it is within TLS. */
  constructor(socket: Socket, carrier = socket) {
    this.socket = socket;
    this.#carrier = carrier;
    this.closed = closeOf(socket);
    socket.on("error", () => {});
    socket.on("end", () => {
      this.hasEnded = true;
    });
    socket.on("data", (chunk) => {
      this.#got = Buffer.concat([this.#got, chunk]);
    });
  }

  /** So many bytes as soon as they are there. */
  async take(bytes: number): Promise<string> {
    await until(() => this.#got.length >= bytes);
    const taken = this.#got.subarray(0, bytes);
    this.#got = this.#got.subarray(bytes);
    return taken.toString("latin1");
  }

  /** Nobody is to take what has come for all that there was to come. */
  break(): void {
    this.#carrier.resetAndDestroy();
    this.socket.destroy();
  }

  get isEmpty(): boolean {
    return this.#got.length === 0;
  }

  async close(): Promise<void> {
    this.socket.destroy();
    await this.closed;
  }
}

/** Of STUN, without attributes. */
export function request(method: number, mark = 0): Buffer {
  const transactionId = Buffer.alloc(12, mark);
  return Buffer.from(encode({ class: "request", method, transactionId, attributes: {} }));
}
