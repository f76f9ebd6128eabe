// Clients over DTLS, as the controller of the native plane sees them: who may begin a session, and which sessions there
// are. The threads (native/dtls-sessions.h) have seen a cookie of everybody that they ask for here.

import type { Endpoint, Millis, PlaneOptions, SocketId } from "../contract.ts";
import { count } from "../counts.ts";
import { hostOf } from "../stun/address.ts";
import { HandUpBudget, type HandUpLimits } from "./hand-up-budget.ts";
import { type Engine, firstSession } from "./native-addon.ts";

export interface DtlsLimits {
  readonly sessions: number;
  /** As `hostOf` counts them; an office behind one NAT is one. */
  readonly sessionsPerHost: number;
  /** At once, over all threads; one more ends the oldest of its thread. */
  readonly handshakes: number;
  readonly handshakeMillis: Millis;
  /** For one that says nothing and that no route runs over. Longer than the ten minutes of a default allocation. */
  readonly idleMillis: Millis;
  /** Handshakes a second. Each takes a thread up to a millisecond, in which it forwards nothing. */
  readonly begun: HandUpLimits;
}

export const dtlsLimits: DtlsLimits = {
  // Each holds some 70 KB, most of them OpenSSL's buffers, which it keeps as long as a session over datagrams lasts.
  sessions: 5000,
  sessionsPerHost: 500,
  // Each may hold 300 KB for what came too early.
  handshakes: 256,
  handshakeMillis: 10_000,
  idleMillis: 15 * 60_000,
  begun: { perAddress: 100, inTotal: 500 },
};

export interface DtlsSession {
  readonly id: SocketId;
  readonly client: Endpoint;
  /** As the engine numbers sockets. */
  readonly socket: number;
}

interface Known extends DtlsSession {
  readonly host: string;
  /** Whether anything has come over it that the controller had to know. */
  hasSpoken: boolean;
}

/** Why a session does not begin. */
export type Refusal = "forbidden-client" | "flooded";

export class DtlsSessions {
  readonly #engine: Engine;
  readonly #options: PlaneOptions;
  readonly #limits: DtlsLimits;
  readonly #begun: HandUpBudget;
  readonly #bySocket = new Map<number, Known>();
  readonly #byId = new Map<SocketId, Known>();
  readonly #perHost = new Map<string, number>();
  readonly #freeSockets: number[] = [];
  #spoken = 0;

  constructor(engine: Engine, options: PlaneOptions, limits: DtlsLimits) {
    this.#engine = engine;
    this.#options = options;
    this.#limits = limits;
    this.#begun = new HandUpBudget(limits.begun);
  }

  /** Of those over which something was handed up. */
  get size(): number {
    return this.#spoken;
  }

  find(id: SocketId): DtlsSession | undefined {
    return this.#byId.get(id);
  }

  /** Lets a client in, or says why not. The caller has the engine flushed. */
  admit(listener: number, client: Endpoint, hello: Uint8Array): Refusal | undefined {
    if (this.#options.mayEnter?.(client.address) === false) return "forbidden-client";
    const host = hostOf(client.address);
    const isOneTooMany = (this.#perHost.get(host) ?? 0) >= this.#limits.sessionsPerHost;
    if (isOneTooMany || this.#bySocket.size >= this.#limits.sessions) return "flooded";
    if (!this.#begun.admits(host, this.#options.now())) return "flooded";
    const socket = this.#freeSockets.pop() ?? firstSession + this.#bySocket.size;
    const { address, port } = client;
    if (!this.#engine.admit(socket - firstSession, listener, address, port, hello)) {
      this.#freeSockets.push(socket);
      return "flooded";
    }
    const session = { id: this.#options.newSocketId(), client, socket, host, hasSpoken: false };
    this.#bySocket.set(socket, session);
    this.#byId.set(session.id, session);
    count(this.#perHost, host, 1);
    return undefined;
  }

  /** The session over which something was handed up. */
  spoke(socket: number): DtlsSession | undefined {
    const session = this.#bySocket.get(socket);
    if (session && !session.hasSpoken) {
      session.hasSpoken = true;
      this.#spoken += 1;
    }
    return session;
  }

  /** The session that has ended, if anything was ever handed up over it. */
  ended(socket: number): DtlsSession | undefined {
    const session = this.#bySocket.get(socket);
    if (!session) return undefined;
    this.#bySocket.delete(socket);
    this.#byId.delete(session.id);
    this.#freeSockets.push(socket);
    count(this.#perHost, session.host, -1);
    if (!session.hasSpoken) return undefined;
    this.#spoken -= 1;
    return session;
  }
}
