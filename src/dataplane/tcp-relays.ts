// Relayed TCP addresses, the stream connections between them and peers, and joining those to the connections of clients
// (RFC 6062). A connection between two of our own relayed addresses never leaves the machine.

import type { Duplex } from "node:stream";
import type { Action, Endpoint, Millis, PlaneOptions, SocketId, Usage } from "../contract.ts";
import type { ClientStream } from "./client-stream.ts";
import { breakOff, type Joined, type Joiner, type StreamEnd } from "./joins.ts";
import type { Relay } from "./relay.ts";
import type { RelayPortsByFamily } from "./relay-ports.ts";
import { type OpenRelay, Relays } from "./relays.ts";
import type { Tally } from "./tally.ts";
import { bindTcp, type TcpPort } from "./tcp-port.ts";

export interface TcpRelaysOptions extends Pick<PlaneOptions, "now" | "newSocketId" | "mayReach" | "hand" | "report"> {
  readonly ports: RelayPortsByFamily;
  readonly tally: Tally;
  readonly joins: Joiner;
  readonly lost: () => void;
  /** Of a client. */
  readonly connection: (id: SocketId) => ClientStream | undefined;
  /** Whether the controller can be told of one more peer from there. */
  readonly mayArrive: (from: Endpoint) => boolean;
}

type Connect = Extract<Action, { do: "connect" }>;
type JoinOrder = Extract<Action, { do: "join" }>;

type TcpRelay = Relay<TcpPort>;

interface Peer {
  readonly stream: Duplex;
  readonly relay: TcpRelay;
}

const noBytes = new Uint8Array();
const nothing: Usage = { toPeer: { packets: 0, bytes: 0 }, toClient: { packets: 0, bytes: 0 } };

export class TcpRelays {
  readonly #options: TcpRelaysOptions;
  readonly #relays: Relays<TcpPort>;
  readonly #peers = new Map<SocketId, Peer>();
  readonly #joins: Joiner;
  /** By each of the two streams. */
  readonly #joined = new Map<SocketId, Joined>();
  /** Streams that are about to be joined, and whether they are to be hung up. */
  readonly #joining = new Map<SocketId, { isOver: boolean }>();
  #isClosed = false;

  constructor(options: TcpRelaysOptions) {
    this.#options = options;
    this.#joins = options.joins;
    this.#relays = new Relays({
      ...options,
      transport: "tcp",
      bind: (relay, at) =>
        bindTcp({ at, accept: (stream, from) => this.#arrived(relay, stream, from), lost: options.lost }),
    });
  }

  get size(): number {
    return this.#relays.size;
  }

  /** What counters and usage say from here on is what has passed till here. */
  settle(): void {
    this.#joins.settle();
  }

  usage(socket: SocketId): Usage | undefined {
    this.settle();
    return (this.#relays.find(socket) ?? this.#joined.get(socket))?.usage;
  }

  /** Whether a client has a relayed TCP address by this connection: it may be silent for as long as it has. */
  isInUse(via: SocketId): boolean {
    const relays = this.#options.connection(via)?.relays ?? [];
    return [...relays].some((relay) => this.#relays.find(relay));
  }

  open(wanted: OpenRelay): void {
    this.#relays.open(wanted);
  }

  assignRelay(id: SocketId, via: SocketId): void {
    this.#relays.assign(id, via);
  }

  /** And every connection between it and a peer. */
  closeRelay(id: SocketId): void {
    const relay = this.#relays.find(id);
    if (relay) {
      this.settle();
      for (const peer of this.#peers.values()) if (peer.relay === relay) breakOff(peer.stream);
    }
    this.#relays.close(id);
  }

  connect({ relay: id, peer, to }: Connect): void {
    const { hand, mayReach } = this.#options;
    const relay = this.#relays.find(id);
    const own = this.#relays.at(to);
    if (relay && own) this.#connectOwn(relay, peer, own);
    else if (relay && mayReach(to)) this.#connecting(peer, { relay, stream: relay.socket.connect(to) });
    else hand({ is: "peer-failed", peer });
  }

  /** Of two connections, each of a client or a peer. What has nothing to be joined with is hung up. */
  async join({ streams, limits: own = [], idleSeconds }: JoinOrder): Promise<void> {
    const { now, hand } = this.#options;
    const relay = streams.map((id) => this.#peers.get(id)?.relay).find((found) => found);
    const isThere = streams.every((id) => this.#peers.has(id) || this.#options.connection(id));
    const order = { isOver: false };
    for (const id of streams) this.#joining.set(id, order);
    const [client, peer] = isThere ? await Promise.all(streams.map((id) => this.#endOf(id))) : [];
    for (const id of streams) this.#joining.delete(id);
    if (!client || !peer) {
      for (const id of streams) this.hangUp(id);
      if (!this.#isClosed) hand({ is: "parted", streams, usage: nothing });
      return;
    }
    const join = this.#joins.join(client, peer, now(), {
      count: (direction, bytes, packets) => relay?.count(direction, bytes, packets),
      limits: relay?.limits ?? own,
      idleMillis: idleSeconds === undefined ? undefined : idleSeconds * 1000,
      parted: (usage) => {
        for (const id of streams) this.#joined.delete(id);
        if (!this.#isClosed) hand({ is: "parted", streams, usage });
      },
    });
    for (const id of streams) this.#joined.set(id, join);
    if (order.isOver) join.breakOff();
  }

  /** Ends joined connections that have been idle for longer than they may. */
  sweep(now: Millis): void {
    this.#joins.sweep(now);
  }

  hangUp(id: SocketId): void {
    const joining = this.#joining.get(id);
    if (joining) {
      joining.isOver = true;
      return;
    }
    this.#joined.get(id)?.breakOff();
    const found = this.#peers.get(id);
    if (found) breakOff(found.stream);
    this.#options.connection(id)?.hangUp();
  }

  /** Resolves when the ports are free again. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.settle();
    for (const { stream } of this.#peers.values()) breakOff(stream);
    const closed = this.#relays.closeAll();
    this.#joins.close();
    await closed;
  }

  /** Somebody has connected to it. */
  #arrived(id: SocketId, stream: Duplex, from: Endpoint): void {
    const relay = this.#relays.find(id);
    if (!relay || !this.#options.mayArrive(from)) {
      breakOff(stream);
      return;
    }
    const peer = this.#options.newSocketId();
    this.#keep(peer, { relay, stream });
    this.#options.hand({ is: "peer-arrived", relay: id, via: relay.via, peer, from });
  }

  #connecting(peer: SocketId, made: Peer): void {
    let isConnected = false;
    made.stream.once("connect", () => {
      isConnected = true;
      this.#options.hand({ is: "peer-connected", peer });
    });
    this.#keep(peer, made, () => isConnected);
  }

  async #endOf(id: SocketId): Promise<StreamEnd | undefined> {
    const peer = this.#peers.get(id);
    return peer ? { stream: peer.stream, early: noBytes } : await this.#options.connection(id)?.release();
  }

  #connectOwn(relay: TcpRelay, peer: SocketId, own: TcpRelay): void {
    const [here, there] = this.#joins.connect();
    this.#keep(peer, { relay, stream: here });
    this.#options.hand({ is: "peer-connected", peer });
    this.#arrived(own.id, there, relay.at);
  }

  /** Until it closes, which is a failure if it has never been connected. */
  #keep(peer: SocketId, kept: Peer, wasConnected = () => true): void {
    this.#peers.set(peer, kept);
    kept.stream.on("error", () => {});
    kept.stream.once("close", () => {
      this.#peers.delete(peer);
      if (!this.#isClosed)
        this.#options.hand(wasConnected() ? { is: "hung-up", via: peer } : { is: "peer-failed", peer });
    });
  }
}
