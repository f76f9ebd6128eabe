// The bytes of a TCP connection as one of its ends sees them.

import type { Socket } from "node:net";
import { Inbox, patienceMilliseconds } from "./inbox.ts";
import { must } from "./requirement.ts";
import { type Endpoint, normalAddress } from "./wire.ts";

/** One end of a TCP connection. */
export class TcpStream {
  readonly #socket: Socket;
  readonly #bytes = new Inbox<Buffer>();
  readonly #ended = new Inbox<true>();
  #unread: Buffer;
  readonly local: Endpoint;
  readonly remote: Endpoint;

  /** `unread` is what has come and belongs to the stream. */
  constructor(socket: Socket, unread: Buffer = Buffer.alloc(0)) {
    this.#socket = socket;
    this.#unread = unread;
    this.local = { address: normalAddress(socket.localAddress ?? ""), port: socket.localPort ?? 0 };
    this.remote = { address: normalAddress(socket.remoteAddress ?? ""), port: socket.remotePort ?? 0 };
    socket.on("data", (chunk: Buffer) => this.#bytes.put(chunk));
    socket.on("error", () => {});
    for (const event of ["end", "close"]) socket.once(event, () => this.#ended.put(true));
  }

  write(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  end(): void {
    this.#socket.end();
  }

  /** The next so many bytes; fewer when no more come. */
  async take(bytes: number): Promise<Buffer> {
    const chunks = [this.#unread];
    let length = this.#unread.length;
    while (length < bytes) {
      const chunk = await this.#bytes.next();
      if (!chunk) break;
      chunks.push(chunk);
      length += chunk.length;
    }
    const all = Buffer.concat(chunks);
    this.#unread = all.subarray(bytes);
    return all.subarray(0, bytes);
  }

  /** Fails unless the other end has closed, or does so soon. */
  async closed(): Promise<void> {
    must(await this.#ended.next(), `the connection was not closed within ${patienceMilliseconds} ms`);
  }

  /** To whoever reads and writes it from here on. */
  giveAway(): Socket {
    return this.#socket.removeAllListeners("data");
  }

  destroy(): void {
    this.#socket.destroy();
  }
}
