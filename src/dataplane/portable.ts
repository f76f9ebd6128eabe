// The plane that runs everywhere: node:dgram and node:net, the rule of routes.ts applied as it reads.

import {
  type Action,
  type Dataplane,
  type Endpoint,
  type Input,
  type Leg,
  type Listener,
  type ListenerKind,
  type Millis,
  type PlaneAbilities,
  type PlaneCounters,
  type SocketId,
  Unavailable,
  type Usage,
} from "../contract.ts";
import type { Adopt } from "./client-stream.ts";
import { Framer } from "./framing.ts";
import { HandUpBudget, type HandUpLimits, handUpLimits } from "./hand-up-budget.ts";
import { type Joiner, Joins } from "./joins.ts";
import type { Relay } from "./relay.ts";
import { type RelayPortsByFamily, relayPortsByFamily } from "./relay-ports.ts";
import { Relays } from "./relays.ts";
import { judgeAtListener, judgeAtRelay, RouteTable, type Verdict } from "./routes.ts";
import { type StreamingPlaneOptions, type StreamLimits, Streams, streamLimits } from "./stream.ts";
import { Tally } from "./tally.ts";
import { TcpRelays } from "./tcp-relays.ts";
import { type Limiter, TrafficLimits } from "./traffic-limits.ts";
import { bindUdp, type UdpSocket } from "./udp-socket.ts";

export interface PortableLimits {
  readonly streams: StreamLimits;
  readonly handUp: HandUpLimits;
}

/** Here media waits while the controller thinks, so under a flood half of the time is for media. */
export const portableLimits: PortableLimits = { streams: streamLimits, handUp: { ...handUpLimits, shareOfTime: 0.5 } };

/** Asked of the kernel, which may grant less. A listener carries all clients, a relay port one. */
const bufferBytes = { listener: 4 * 1024 * 1024, relay: 1024 * 1024 };

/** A packet may pass through this many relay ports of ours; more is a circle of routes. */
const mostHops = 4;

const sweepMillis = 1000;

/** A plane beside ours, for packets that go from a relay port of one to a relay port of the other. */
export interface Neighbour {
  /** Takes the packet, and says so, if it is for an open relay port of its own. `from` is as peers see it. */
  deliver(from: Endpoint, to: Endpoint, payload: Uint8Array, hops: number): boolean;
}

export interface Neighbourhood {
  readonly neighbour: Neighbour;
  /** From which both draw. */
  readonly ports: RelayPortsByFamily;
  /** For packets of both. */
  readonly limits: Limiter;
  /** Of the streams of this one. */
  readonly joins: Joiner;
  /** Clients on streams may be its own; their relay ports are then, too, but for those to which peers connect. */
  readonly adopt: Adopt;
}

export function portablePlane(
  options: StreamingPlaneOptions,
  limits: PortableLimits = portableLimits,
  neighbourhood?: Neighbourhood,
): Dataplane & Neighbour {
  return new PortablePlane(options, limits, neighbourhood);
}

class PortablePlane implements Dataplane, Neighbour {
  readonly name = "portable";
  readonly abilities: PlaneAbilities = { movesAmong: [["udp", "tcp", "tls"]], dontFragment: [] };
  readonly #options: StreamingPlaneOptions;
  readonly #tally = new Tally();
  readonly #limits: Limiter;
  readonly #framer = new Framer();
  readonly #lost = () => this.#tally.drop("congested");
  readonly #budget: HandUpBudget;
  readonly #routes = new RouteTable((to) => this.#isForClients(to.socket) || this.#options.mayReach(to.peer));
  readonly #udpListeners = new Map<SocketId, UdpSocket>();
  readonly #streams: Streams;
  readonly #neighbour: Neighbour | undefined;
  readonly #tcp: TcpRelays;
  readonly #relays: Relays<UdpSocket>;
  readonly #sweeps: NodeJS.Timeout;
  #isClosed = false;

  constructor(options: StreamingPlaneOptions, limits: PortableLimits, neighbourhood: Neighbourhood | undefined) {
    this.#options = options;
    this.#budget = new HandUpBudget(limits.handUp);
    this.#streams = new Streams({
      ...options.entrance,
      limits: limits.streams,
      now: options.now,
      newSocketId: options.newSocketId,
      mayEnter: options.mayEnter,
      isInUse: (connection) => this.#routes.has(connection) || this.#tcp.isInUse(connection),
      receive: ({ listener, id, client }, bytes) => this.#fromClient(listener, id, client, bytes),
      hungUp: (connection) => this.#hungUp(connection),
      lost: this.#lost,
      adopt: neighbourhood?.adopt,
    });
    const ports = neighbourhood?.ports ?? relayPortsByFamily(options);
    this.#neighbour = neighbourhood?.neighbour;
    this.#limits = neighbourhood?.limits ?? new TrafficLimits();
    const connection = (id: SocketId) => this.#streams.connection(id);
    this.#relays = new Relays({
      ...options,
      ports,
      tally: this.#tally,
      connection,
      transport: "udp",
      bind: (relay, at) => this.#bindRelay(relay, at),
    });
    this.#tcp = new TcpRelays({
      ...options,
      ports,
      tally: this.#tally,
      joins: neighbourhood?.joins ?? new Joins(this.#limits, options.now),
      lost: this.#lost,
      connection,
      mayArrive: (from) => this.#mayArrive(from),
    });
    this.#sweeps = setInterval(() => this.#sweep(), sweepMillis).unref();
  }

  async listen(transport: ListenerKind, at: Endpoint): Promise<Listener> {
    if (transport === "dtls") throw new Unavailable("only the native plane speaks DTLS: see dataplane");
    const id = this.#options.newSocketId();
    try {
      return transport === "udp" ? await this.#listenUdp(id, at) : await this.#streams.listen(id, transport, at);
    } catch (cause) {
      throw new Unavailable(`cannot listen on ${transport} ${at.address} port ${at.port}`, { cause });
    }
  }

  perform(action: Action): void {
    switch (action.do) {
      case "open-relay":
        (action.transport === "tcp" ? this.#tcp : this.#relays).open(action);
        break;
      case "close-relay":
        this.#relays.close(action.relay);
        this.#routes.forget(action.relay);
        this.#tcp.closeRelay(action.relay);
        break;
      case "assign-relay":
        this.#relays.assign(action.relay, action.via);
        this.#tcp.assignRelay(action.relay, action.via);
        break;
      case "connect":
        this.#tcp.connect(action);
        break;
      case "join":
        void this.#tcp.join(action);
        break;
      case "hang-up":
        this.#tcp.hangUp(action.via);
        break;
      case "route":
        this.#routes.route(action.legs);
        break;
      case "unroute":
        this.#routes.unroute(action.legs);
        break;
      case "expect":
        this.#routes.expected.expect(action.via, action.from, action.until);
        break;
      case "send":
        this.#send(action.via, action.to, action.bytes);
        break;
      case "report":
        this.#options.report(action.fact);
    }
  }

  counters(): PlaneCounters {
    this.#tcp.settle();
    return { ...this.#tally.counters(), relays: this.#relays.size + this.#tcp.size, connections: this.#streams.size };
  }

  usage(socket: SocketId): Usage | undefined {
    return this.#relays.find(socket)?.usage ?? this.#tcp.usage(socket);
  }

  deliver(from: Endpoint, to: Endpoint, payload: Uint8Array, hops: number): boolean {
    const own = this.#relays.at(to);
    if (own && hops > mostHops) this.#tally.drop("forbidden-peer");
    else if (own) this.#fromPeer(own.id, from, payload, hops);
    return own !== undefined;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#sweeps);
    const relays = [this.#relays.closeAll(), this.#tcp.close()];
    const listeners = [...this.#udpListeners.values()].map((socket) => socket.close());
    this.#udpListeners.clear();
    await Promise.all([...relays, ...listeners, this.#streams.close()]);
  }

  async #listenUdp(id: SocketId, at: Endpoint): Promise<Listener> {
    const socket = await bindUdp({
      at,
      bufferBytes: bufferBytes.listener,
      receive: (bytes, from) => this.#fromClient(listener, id, from, bytes),
      lost: this.#lost,
    });
    const listener: Listener = { socket: id, transport: "udp", at: socket.at };
    this.#udpListeners.set(id, socket);
    return listener;
  }

  #bindRelay(relay: SocketId, at: Endpoint): Promise<UdpSocket> {
    const receive = (bytes: Uint8Array, from: Endpoint) => this.#fromPeer(relay, from, bytes, 0);
    return bindUdp({ at, bufferBytes: bufferBytes.relay, receive, lost: this.#lost });
  }

  #fromClient(on: Listener, via: SocketId, from: Endpoint, bytes: Uint8Array): void {
    const now = this.#options.now();
    const isStun = on.protocol === undefined;
    const verdict = isStun ? judgeAtListener(this.#routes, via, from, bytes, now) : "hand-up";
    if (typeof verdict === "object") this.#follow(verdict, from, 0);
    else if (this.#options.mayEnter?.(from.address) === false) this.#tally.drop("forbidden-client");
    else if (verdict !== "hand-up") this.#tally.drop(verdict);
    else this.#handUp({ is: "datagram", on, via, from, bytes }, now);
  }

  #fromPeer(relay: SocketId, from: Endpoint, bytes: Uint8Array, hops: number): void {
    const now = this.#options.now();
    const verdict = judgeAtRelay(this.#routes, relay, from, bytes, now);
    const isStray = verdict === "no-permission" && this.#relays.find(relay)?.handsUp;
    if (!isStray) this.#follow(verdict, from, hops);
    else if (this.#options.mayEnter?.(from.address) === false) this.#tally.drop("forbidden-client");
    else this.#handUp({ is: "stray", relay, from, bytes }, now);
  }

  #handUp(input: Extract<Input, { is: "datagram" | "stray" }>, now: Millis): void {
    const isDatagram = input.is === "stray" || input.on.transport === "udp";
    if (!this.#budget.admits(input.from.address, now, isDatagram)) {
      this.#tally.drop("flooded");
      return;
    }
    this.#options.hand(input);
    this.#budget.took(this.#options.now() - now);
  }

  #follow(verdict: Verdict, from: Endpoint, hops: number): void {
    if (typeof verdict === "string") {
      this.#tally.drop(verdict);
      return;
    }
    const { way, payload } = verdict;
    const owner = this.#relays.find(way.route[1].socket);
    if (owner && !this.#mayPass(owner, way.direction, payload)) return;
    const relay = this.#relays.find(way.to.socket);
    const hasLeft = relay
      ? this.#toPeer(relay, way.to.peer, payload, way.mayLeave, hops)
      : this.#toClient(way.to, payload, from);
    if (hasLeft) owner?.count(way.direction, payload.length);
  }

  #send(via: SocketId, to: Endpoint, bytes: Uint8Array): void {
    const relay = this.#relays.find(via);
    if (!relay) {
      this.#udpListeners.get(via)?.send(bytes, to);
      this.#streams.connection(via)?.sendAnswer(bytes);
    } else if (this.#mayPass(relay, "to-peer", bytes)) {
      const hasLeft = this.#toPeer(relay, to, bytes, this.#options.mayReach(to), 0);
      if (hasLeft) relay.count("to-peer", bytes.length);
    }
  }

  #mayPass({ limits }: UdpRelay, direction: "to-peer" | "to-client", payload: Uint8Array): boolean {
    if (limits.length === 0) return true;
    const mayPass = this.#limits.admits(limits, direction, payload.length, this.#options.now());
    if (!mayPass) this.#tally.drop("limited");
    return mayPass;
  }

  /** The one function that writes to peers. What is for a relay port of ours does not leave the process. */
  #toPeer(relay: UdpRelay, to: Endpoint, payload: Uint8Array, mayLeave: boolean, hops: number): boolean {
    if (this.deliver(relay.at, to, payload, hops + 1)) return true;
    if (this.#neighbour?.deliver(relay.at, to, payload, hops + 1)) return true;
    if (!mayLeave || to.port === 0) {
      this.#tally.drop("forbidden-peer");
      return false;
    }
    relay.socket.send(payload, to);
    return true;
  }

  #toClient(to: Leg, payload: Uint8Array, peer: Endpoint): boolean {
    const bytes = this.#framer.frame(payload, to.framing, peer);
    const udp = this.#udpListeners.get(to.socket);
    const connection = udp ? undefined : this.#streams.connection(to.socket);
    if (bytes === undefined || (udp ?? connection) === undefined) {
      this.#lost();
      return false;
    }
    udp?.send(bytes, to.peer);
    connection?.sendMedia(bytes);
    return true;
  }

  #mayArrive(from: Endpoint): boolean {
    const mayArrive = this.#budget.admits(from.address, this.#options.now());
    if (!mayArrive) this.#tally.drop("flooded");
    return mayArrive;
  }

  #isForClients(socket: SocketId): boolean {
    return this.#udpListeners.has(socket) || this.#streams.connection(socket) !== undefined;
  }

  #hungUp(connection: SocketId): void {
    this.#routes.forget(connection);
    if (!this.#isClosed) this.#options.hand({ is: "hung-up", via: connection });
  }

  #sweep(): void {
    const now = this.#options.now();
    this.#routes.expire(now);
    this.#streams.sweep(now);
    this.#limits.sweep(now);
    this.#tcp.sweep(now);
  }
}

type UdpRelay = Relay<UdpSocket>;
