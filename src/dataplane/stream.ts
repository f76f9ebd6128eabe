// TCP listeners and the connections they accept: how many, from whom, and for how long without a word.

import { createServer, type Server, type Socket } from "node:net";
import { type Endpoint, familyOf, type Listener, type Millis, type SocketId } from "../contract.ts";
import { Connection } from "./connection.ts";
import { canonicalAddress } from "./endpoint.ts";

export interface StreamLimits {
  readonly connections: number;
  /** From one IP address; an office behind one NAT is one. */
  readonly connectionsPerAddress: number;
  /** For a connection that has not yet sent one complete frame. */
  readonly firstFrameMillis: Millis;
  /** For one that says nothing and that no route runs over. Longer than the ten minutes of a default allocation. */
  readonly idleMillis: Millis;
}

export const streamLimits: StreamLimits = {
  connections: 10_000,
  connectionsPerAddress: 500,
  firstFrameMillis: 30_000,
  idleMillis: 15 * 60_000,
};

/** Bytes that Node holds for a connection before it says that it is full. Small: what is in there cannot be given up. */
const writeBufferBytes = 16 * 1024;

export interface StreamsOptions {
  readonly limits: StreamLimits;
  readonly now: () => Millis;
  readonly newSocketId: () => SocketId;
  /** Whether a route runs over this connection. */
  readonly isInUse: (connection: SocketId) => boolean;
  readonly receive: (connection: Connection, frame: Uint8Array) => void;
  readonly hungUp: (connection: SocketId) => void;
  /** A frame for a client was given up. */
  readonly lost: () => void;
}

export class Streams {
  readonly #options: StreamsOptions;
  readonly #servers = new Set<Server>();
  readonly #connections = new Map<SocketId, Connection>();
  readonly #perAddress = new Map<string, number>();

  constructor(options: StreamsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#connections.size;
  }

  connection(id: SocketId): Connection | undefined {
    return this.#connections.get(id);
  }

  /** Rejects with the system's error. */
  listen(socket: SocketId, { address, port }: Endpoint): Promise<Listener> {
    const server = createServer({ noDelay: true, highWaterMark: writeBufferBytes });
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host: address, port, ipv6Only: familyOf(address) === 6, exclusive: true }, () => {
        const listener: Listener = { socket, transport: "tcp", at: endpointOf(server.address(), address, port) };
        // From here on an error is a connection that could not be accepted, for want of file descriptors.
        server.removeListener("error", reject).on("error", this.#options.lost);
        server.on("connection", (client) => this.#accept(listener, client));
        this.#servers.add(server);
        resolve(listener);
      });
    });
  }

  /** Hangs up on connections that have been silent for too long. */
  sweep(now: Millis): void {
    for (const connection of this.#connections.values()) {
      const { since, hasHeard } = connection.silence;
      const { firstFrameMillis, idleMillis } = this.#options.limits;
      const isOver = hasHeard
        ? now - since >= idleMillis && !this.#options.isInUse(connection.id)
        : now - since >= firstFrameMillis;
      if (isOver) connection.hangUp();
    }
  }

  /** Resolves when every listener and connection is closed. */
  async close(): Promise<void> {
    const closed = [...this.#servers].map((server) => new Promise((resolve) => server.close(resolve)));
    for (const connection of this.#connections.values()) connection.hangUp();
    await Promise.all(closed);
  }

  #accept(listener: Listener, socket: Socket): void {
    // Every error is followed by `close`, which is what counts.
    socket.on("error", () => {});
    const { remoteAddress, remotePort } = socket;
    const address = canonicalAddress(remoteAddress ?? "");
    if (remotePort === undefined || !this.#hasRoomFor(address)) {
      socket.destroy();
      return;
    }
    const { now, newSocketId, receive, lost } = this.#options;
    const client = { address, port: remotePort };
    const connection = new Connection(socket, { id: newSocketId(), listener, client, now, receive, lost });
    this.#connections.set(connection.id, connection);
    this.#perAddress.set(address, (this.#perAddress.get(address) ?? 0) + 1);
    socket.once("close", () => this.#forget(connection));
  }

  #hasRoomFor(address: string): boolean {
    const { connections, connectionsPerAddress } = this.#options.limits;
    return this.#connections.size < connections && (this.#perAddress.get(address) ?? 0) < connectionsPerAddress;
  }

  #forget({ id, client }: Connection): void {
    this.#connections.delete(id);
    const left = (this.#perAddress.get(client.address) ?? 0) - 1;
    if (left > 0) this.#perAddress.set(client.address, left);
    else this.#perAddress.delete(client.address);
    this.#options.hungUp(id);
  }
}

function endpointOf(bound: ReturnType<Server["address"]>, address: string, port: number): Endpoint {
  if (bound === null || typeof bound === "string") return { address: canonicalAddress(address), port };
  return { address: canonicalAddress(bound.address), port: bound.port };
}
