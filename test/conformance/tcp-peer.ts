// The far end of a TCP allocation.

import { once } from "node:events";
import { connect, createServer, type Server } from "node:net";
import { Inbox, patienceMilliseconds } from "./inbox.ts";
import { must } from "./requirement.ts";
import { TcpStream } from "./tcp-stream.ts";
import type { Endpoint } from "./wire.ts";

/** Listens, and connects from the address it listens on. */
export class TcpPeer {
  readonly #server: Server;
  readonly #inbox = new Inbox<TcpStream>();
  readonly #streams: TcpStream[] = [];
  readonly at: Endpoint;

  private constructor(server: Server, at: Endpoint) {
    this.#server = server;
    this.at = at;
    server.on("connection", (socket) => this.#inbox.put(this.#keep(new TcpStream(socket))));
  }

  static async open(address: string): Promise<TcpPeer> {
    const server = createServer({ noDelay: true, allowHalfOpen: false });
    server.listen(0, address);
    await once(server, "listening");
    const bound = server.address();
    return new TcpPeer(server, { address, port: typeof bound === "object" && bound ? bound.port : 0 });
  }

  /** The next connection that has come in. */
  async accepted(): Promise<TcpStream> {
    const stream = await this.#inbox.next();
    must(stream, `no connection reached the peer within ${patienceMilliseconds} ms`);
    return stream;
  }

  async connect(to: Endpoint): Promise<TcpStream> {
    const socket = connect({ host: to.address, port: to.port, localAddress: this.at.address, noDelay: true });
    await once(socket, "connect");
    return this.#keep(new TcpStream(socket));
  }

  /** Fails unless a connection is refused, or closed at once. */
  async connectInVain(to: Endpoint): Promise<void> {
    const socket = connect({ host: to.address, port: to.port, localAddress: this.at.address });
    await this.#keep(new TcpStream(socket)).closed();
  }

  #keep(stream: TcpStream): TcpStream {
    this.#streams.push(stream);
    return stream;
  }

  /** May be called again. */
  async close(): Promise<void> {
    for (const stream of this.#streams.splice(0)) stream.destroy();
    if (!this.#server.listening) return;
    this.#server.close();
    await once(this.#server, "close");
  }
}
