// The stream connections between TCP allocations and their peers: found by their CONNECTION-ID, counted against the
// quotas, and ended unless a client takes them in time (RFC 6062 sections 5.2 to 5.5, which are cited from memory).

import { createHmac } from "node:crypto";
import { Calendar } from "../calendar.ts";
import { type Endpoint, isSameEndpoint, type Millis, type SocketId } from "../contract.ts";
import { count } from "../counts.ts";
import type { Allocation } from "./allocation.ts";
import type { Limits } from "./limits.ts";
import { type AuthenticRequest, type Refusal, refuse } from "./request.ts";

/** For a peer to be reached, and then again for the client to bind the connection (sections 5.2 and 5.3). */
const patienceMillis = 30_000;

export interface PeerConnection {
  /** CONNECTION-ID. */
  readonly id: number;
  readonly peer: SocketId;
  readonly at: Endpoint;
  readonly allocation: Allocation;
  /** The Connect that has not been answered yet. */
  connect: AuthenticRequest | undefined;
  /** A client has it. */
  isBound: boolean;
}

export class PeerConnections {
  readonly #limits: Limits;
  readonly #secret: Uint8Array;
  readonly #byId = new Map<number, PeerConnection>();
  readonly #byPeer = new Map<SocketId, PeerConnection>();
  readonly #ofAllocation = new Map<Allocation, Set<PeerConnection>>();
  readonly #perUser = new Map<string, number>();
  readonly #ends = new Calendar<PeerConnection>();

  constructor(limits: Limits, secret: Uint8Array) {
    this.#limits = limits;
    this.#secret = secret;
  }

  /** Why this allocation cannot have one more, if it cannot. */
  refusalOfOneMore(allocation: Allocation): Refusal | undefined {
    const { peerConnections, peerConnectionsPerUser, peerConnectionsPerAllocation } = this.#limits;
    if ((this.#perUser.get(allocation.user) ?? 0) >= peerConnectionsPerUser) return refuse(486);
    const isFull = (this.#ofAllocation.get(allocation)?.size ?? 0) >= peerConnectionsPerAllocation;
    return isFull || this.#byPeer.size >= peerConnections ? refuse(508) : undefined;
  }

  /** One that is being made for a Connect, or that came from a peer. */
  add(now: Millis, of: Omit<PeerConnection, "id" | "isBound">): PeerConnection {
    const connection = { ...of, id: this.#newId(of.peer), isBound: false };
    this.#byId.set(connection.id, connection);
    this.#byPeer.set(of.peer, connection);
    this.#ofAllocation.set(of.allocation, (this.#ofAllocation.get(of.allocation) ?? new Set()).add(connection));
    count(this.#perUser, of.allocation.user, 1);
    this.#ends.file(connection, now + patienceMillis);
    return connection;
  }

  /** Its peer has been reached: the wait for the client begins. */
  connected(connection: PeerConnection, now: Millis): void {
    connection.connect = undefined;
    this.#ends.file(connection, now + patienceMillis);
  }

  bind(connection: PeerConnection): void {
    connection.isBound = true;
    this.#ends.strike(connection);
  }

  /** One that a client can bind. */
  findPending(id: number): PeerConnection | undefined {
    const connection = this.#byId.get(id);
    return connection && !connection.connect && !connection.isBound ? connection : undefined;
  }

  get all(): PeerConnection[] {
    return [...this.#byPeer.values()];
  }

  findByPeer(peer: SocketId): PeerConnection | undefined {
    return this.#byPeer.get(peer);
  }

  /** The one that an allocation has with a peer, in whichever state. */
  findTo(allocation: Allocation, peer: Endpoint): PeerConnection | undefined {
    const connections = [...(this.#ofAllocation.get(allocation) ?? [])];
    return connections.find(({ at }) => isSameEndpoint(at, peer));
  }

  /** Those whose time has run out, forgotten. */
  due(now: Millis): PeerConnection[] {
    const due = this.#ends.due(now);
    for (const connection of due) this.remove(connection);
    return due;
  }

  remove(connection: PeerConnection): void {
    if (!this.#byPeer.delete(connection.peer)) return;
    const { allocation } = connection;
    this.#byId.delete(connection.id);
    this.#ends.strike(connection);
    const rest = this.#ofAllocation.get(allocation);
    rest?.delete(connection);
    if (rest?.size === 0) this.#ofAllocation.delete(allocation);
    count(this.#perUser, allocation.user, -1);
  }

  /** Not to be guessed, though who guesses it still needs the user's credentials. */
  #newId(peer: SocketId): number {
    for (let attempt = 0; ; attempt += 1) {
      const mac = createHmac("sha256", this.#secret).update(`connection ${peer} ${attempt}`).digest();
      const id = mac.readUInt32BE();
      if (!this.#byId.has(id)) return id;
    }
  }
}
