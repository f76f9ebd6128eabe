// TCP and TLS listeners and the connections they accept: how many, from whom, and for how long without a word.

import { strict as assert } from "node:assert";
import { createServer, type Server, type Socket } from "node:net";
import {
  type Endpoint,
  familyOf,
  type Listener,
  type ListenerKind,
  type Millis,
  type PlaneOptions,
  type SocketId,
  Unavailable,
} from "../contract.ts";
import { count } from "../counts.ts";
import { hostOf } from "../stun/address.ts";
import { type ArrivalLimits, Arrivals } from "./arrivals.ts";
import type { Certificates } from "./certificates.ts";
import { judgeClientHello } from "./client-hello.ts";
import type { Adopt, ClientStream } from "./client-stream.ts";
import { Connection, type SilenceLimits } from "./connection.ts";
import { canonicalAddress } from "./endpoint.ts";
import { judgeStream, readFirst } from "./first-bytes.ts";
import { judgeProxyHeader } from "./proxy-protocol.ts";
import { type Backend, type SpliceLimits, Splices } from "./splices.ts";
import { isOurs, secure } from "./tls.ts";

export type StreamKind = Exclude<ListenerKind, "udp" | "dtls">;

export interface StreamLimits extends ArrivalLimits, SilenceLimits, SpliceLimits {
  readonly connections: number;
  /** As `hostOf` counts them; an office behind one NAT is one. */
  readonly connectionsPerHost: number;
}

export const streamLimits: StreamLimits = {
  connections: 10_000,
  connectionsPerHost: 500,
  firstFrameMillis: 30_000,
  strangerIdleMillis: 60_000,
  idleMillis: 15 * 60_000,
  // Each holds some 50 KB for its handshake.
  arrivals: 1000,
  arrivalMillis: 10_000,
  splices: 5000,
};

/** Bytes that Node holds for a connection before it says that it is full. Small: what is in there cannot be given up. */
const writeBufferBytes = 16 * 1024;

/** What a stream passes before it is a connection. */
export interface EntranceOptions {
  /** For listeners that take TLS. */
  readonly certificates?: Certificates | undefined;
  /** Whether who connects from here is a proxy that says first whose connection it is. Nobody is if not said. */
  readonly isProxy?: (address: string) => boolean;
  /** Who takes TLS that is not for us, on listeners for any stream. It is refused if not said. */
  readonly foreignTls?: Backend | undefined;
  /** Whether listeners for any stream take SOCKS5, too. They do not if not said. */
  readonly takesSocks5?: boolean | undefined;
}

/** Of a plane that takes streams. */
export interface StreamingPlaneOptions extends PlaneOptions {
  readonly entrance?: EntranceOptions;
}

export interface StreamsOptions extends EntranceOptions {
  readonly limits: StreamLimits;
  readonly now: () => Millis;
  readonly newSocketId: () => SocketId;
  readonly mayEnter?: PlaneOptions["mayEnter"];
  /** Whether a route runs over this connection. */
  readonly isInUse: (connection: SocketId) => boolean;
  readonly receive: (connection: Connection, frame: Uint8Array) => void;
  readonly hungUp: (connection: SocketId) => void;
  /** A frame for a client was given up. */
  readonly lost: () => void;
  /** Goes on elsewhere with TURN over TCP and TLS, if it does. */
  readonly adopt?: Adopt | undefined;
}

/** Whoever has been let in, and what is to be done once he is gone. */
interface Guest {
  readonly client: Endpoint;
  readonly socket: Socket;
  readonly leave: () => void;
}

export class Streams {
  readonly #options: StreamsOptions;
  readonly #servers = new Set<Server>();
  readonly #arrivals: Arrivals;
  readonly #splices: Splices;
  readonly #connections = new Map<SocketId, ClientStream>();
  readonly #perHost = new Map<string, number>();

  constructor(options: StreamsOptions) {
    this.#options = options;
    this.#arrivals = new Arrivals(options.limits);
    this.#splices = new Splices(options.limits);
  }

  get size(): number {
    return this.#connections.size;
  }

  connection(id: SocketId): ClientStream | undefined {
    return this.#connections.get(id);
  }

  /** Rejects with the system's error, or where there is no certificate for TLS. */
  async listen(socket: SocketId, kind: StreamKind, { address, port }: Endpoint): Promise<Listener> {
    if ((kind === "tls" || kind === "any") && !this.#options.certificates)
      throw new Unavailable("there is no certificate");
    const server = createServer({ noDelay: true, highWaterMark: writeBufferBytes });
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host: address, port, ipv6Only: familyOf(address) === 6, exclusive: true }, () => {
        const listener: Listener = {
          socket,
          transport: kind === "tls" ? "tls" : "tcp",
          at: endpointOf(server.address(), address, port),
          ...(kind === "socks5" && { protocol: kind }),
        };
        // From here on an error is a connection that could not be accepted, for want of file descriptors.
        server.removeListener("error", reject).on("error", this.#options.lost);
        const enter = this.#entrance(kind, listener);
        server.on("connection", (client) => this.#accept(client, enter));
        this.#servers.add(server);
        resolve(listener);
      });
    });
  }

  /** Hangs up on connections that have been silent for too long. */
  sweep(now: Millis): void {
    this.#arrivals.sweep(now);
    this.#splices.sweep(now);
    for (const connection of this.#connections.values()) if (connection.isOverdue(now)) connection.hangUp();
  }

  /** Resolves when every listener and connection is closed. */
  async close(): Promise<void> {
    const closed = [...this.#servers].map((server) => new Promise((resolve) => server.close(resolve)));
    for (const connection of this.#connections.values()) connection.hangUp();
    this.#arrivals.close();
    this.#splices.close();
    await Promise.all(closed);
    this.#connections.clear();
  }

  #accept(socket: Socket, enter: Enter): void {
    // Every error is followed by `close`, which is what counts.
    socket.on("error", () => {});
    const { remoteAddress, remotePort } = socket;
    const { now, isProxy } = this.#options;
    if (remoteAddress === undefined || remotePort === undefined || this.#isFull) {
      socket.destroy();
      return;
    }
    const client = { address: canonicalAddress(remoteAddress), port: remotePort };
    if (!isProxy?.(client.address)) {
      this.#admit(client, socket, enter);
      return;
    }
    this.#arrivals.begin(socket, now());
    readFirst(socket, judgeProxyHeader, ({ source = client }) => {
      this.#arrivals.end(socket);
      this.#admit(source, socket, enter);
    });
  }

  #admit(client: Endpoint, socket: Socket, enter: Enter): void {
    const host = hostOf(client.address);
    const isOneTooMany = (this.#perHost.get(host) ?? 0) >= this.#options.limits.connectionsPerHost;
    if (isOneTooMany || this.#options.mayEnter?.(client.address) === false) {
      socket.destroy();
      return;
    }
    count(this.#perHost, host, 1);
    const leave = () => count(this.#perHost, host, -1);
    socket.once("close", leave);
    enter({ client, socket, leave });
  }

  /** What awaits a client behind this listener. */
  #entrance(kind: StreamKind, listener: Listener): Enter {
    const plain: Enter = (guest) => this.#connect(listener, guest);
    const tlsListener: Listener = { ...listener, transport: "tls" };
    const tls: Enter = (guest) => this.#secure(tlsListener, guest);
    if (kind !== "any") return kind === "tls" ? tls : plain;
    const socks5Listener: Listener = { ...listener, protocol: "socks5" };
    const socks5: Enter = (guest) => this.#connect(socks5Listener, guest);
    return (guest) => {
      const { socket } = guest;
      this.#arrivals.begin(socket, this.#options.now());
      readFirst(socket, judgeStream, ({ is }) => {
        if (is === "tls") this.#tellForeign(socket, () => tls(guest));
        else if (is === "socks5" && !this.#options.takesSocks5) socket.destroy();
        else {
          this.#arrivals.end(socket);
          (is === "socks5" ? socks5 : plain)(guest);
        }
      });
    };
  }

  /** Passes on what is not for us; `go` is for the rest. */
  #tellForeign(socket: Socket, go: () => void): void {
    const { certificates, foreignTls, now } = this.#options;
    assert(certificates);
    if (!foreignTls) {
      go();
      return;
    }
    readFirst(socket, judgeClientHello, (hello) => {
      if (isOurs(hello, certificates)) go();
      else this.#splices.open(socket, foreignTls, now(), () => this.#arrivals.end(socket));
    });
  }

  #secure(listener: Listener, guest: Guest): void {
    if (this.#isAdopted(listener, guest)) return;
    const { client, socket } = guest;
    const { certificates, now } = this.#options;
    assert(certificates);
    this.#arrivals.begin(socket, now());
    const secured = secure(socket, certificates, writeBufferBytes).on("error", () => {});
    secured.once("secure", () => {
      this.#arrivals.end(socket);
      this.#carry(listener, client, secured);
    });
  }

  #connect(listener: Listener, guest: Guest): void {
    if (listener.protocol !== undefined || !this.#isAdopted(listener, guest))
      this.#carry(listener, guest.client, guest.socket);
  }

  /** Whether others go on with it. */
  #isAdopted(listener: Listener, { client, socket, leave }: Guest): boolean {
    const { adopt } = this.#options;
    if (!adopt) return false;
    // It closes here, and the guest stays.
    socket.off("close", leave);
    const isAdopted = adopt({
      listener,
      client,
      socket,
      opened: (stream) => this.#opened(stream),
      closed: (stream) => {
        leave();
        this.#closed(stream);
      },
    });
    if (!isAdopted) socket.once("close", leave);
    return isAdopted;
  }

  #carry(listener: Listener, client: Endpoint, socket: Socket): void {
    const { newSocketId, ...options } = this.#options;
    const connection = new Connection(socket, { ...options, id: newSocketId(), listener, client });
    if (this.#opened(connection)) socket.once("close", () => this.#closed(connection));
    else socket.destroy();
  }

  #opened(connection: ClientStream): boolean {
    if (this.#isFull) return false;
    this.#connections.set(connection.id, connection);
    return true;
  }

  #closed({ id }: ClientStream): void {
    if (this.#connections.delete(id)) this.#options.hungUp(id);
  }

  get #isFull(): boolean {
    return this.#connections.size >= this.#options.limits.connections;
  }
}

type Enter = (guest: Guest) => void;

function endpointOf(bound: ReturnType<Server["address"]>, address: string, port: number): Endpoint {
  if (bound === null || typeof bound === "string") return { address: canonicalAddress(address), port };
  return { address: canonicalAddress(bound.address), port: bound.port };
}
