// One TCP port of ours that others connect to and that we connect from: a relayed TCP address is both (RFC 6062 sections
// 5.2 and 5.3).

import net, { type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { type Endpoint, familyOf } from "../contract.ts";
import { canonicalAddress } from "./endpoint.ts";

/** A socket of the system that is bound, and not yet anything else. */
interface Handle {
  close(): void;
}

/**
 * Node binds and connects, or binds and listens, in one go. Here several sockets are bound to one port before one of them
 * listens, for which there is only what the cluster module uses. A bind that fails is heard of by whoever uses the handle.
 */
const { _createServerHandle: bind } = net as unknown as {
  readonly _createServerHandle: (address: string, port: number, family: 4 | 6) => Handle | number;
};

/** Sockets that wait to connect. Linux binds no more of them to a port while it listens. */
const sparesAtOnce = 4;
/** Peers that have connected and wait for us. */
const backlog = 64;

export interface TcpPortOptions {
  readonly at: Endpoint;
  readonly accept: (socket: Socket, from: Endpoint) => void;
  /** A connection could not be accepted. */
  readonly lost: () => void;
}

/** Rejects with the system's error, its `code` as it is. */
export async function bindTcp(options: TcpPortOptions): Promise<TcpPort> {
  const port = new TcpPort(options);
  await port.listen();
  return port;
}

export class TcpPort {
  readonly at: Endpoint;
  readonly #options: TcpPortOptions;
  #server: Server | undefined;
  #spares: Handle[] = [];
  #isClosed = false;

  constructor(options: TcpPortOptions) {
    this.#options = options;
    this.at = options.at;
  }

  /** Also once more: for this moment the port does not listen, and new spares can be bound. */
  listen(): Promise<void> {
    const { accept, lost } = this.#options;
    this.#server?.close();
    const listening = this.#bind();
    this.#spares = Array.from({ length: sparesAtOnce }, () => this.#bind()).filter((handle) => handle !== undefined);
    const server = net.createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true, pauseOnConnect: true });
    server.on("connection", (socket) => {
      const { remoteAddress, remotePort } = socket;
      if (remoteAddress === undefined || remotePort === undefined) socket.destroy();
      else accept(socket, { address: canonicalAddress(remoteAddress), port: remotePort });
    });
    this.#server = server;
    return new Promise((resolve, reject) => {
      server.once("error", (error) => {
        this.close();
        reject(error);
      });
      if (!listening) {
        server.emit("error", Object.assign(new Error("cannot bind"), { code: "EADDRNOTAVAIL" }));
        return;
      }
      server.listen(listening, backlog, () => {
        server.removeAllListeners("error").on("error", lost);
        resolve();
      });
    });
  }

  /** Emits `connect`, or `error`. */
  connect(to: Endpoint): Duplex {
    if (this.#spares.length === 0) this.listen().catch(this.#options.lost);
    const handle = this.#spares.pop();
    const socket = new net.Socket({ handle, manualStart: true, allowHalfOpen: true } as net.SocketConstructorOpts);
    if (!handle || this.#isClosed) return socket.destroy(new Error("no socket to connect with"));
    return socket.connect({ host: to.address, port: to.port, noDelay: true, keepAlive: true });
  }

  /** Resolves when the port is free again. Connections stand for themselves. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const spare of this.#spares.splice(0)) spare.close();
    this.#server?.close();
  }

  #bind(): Handle | undefined {
    const { address, port } = this.at;
    const handle = bind(address, port, familyOf(address));
    return typeof handle === "number" ? undefined : handle;
  }
}
