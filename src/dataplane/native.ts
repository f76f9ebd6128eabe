// The plane for production on Linux: threads in C++ (native/) move the packets, and JavaScript hears only of what no
// route takes. Clients on streams, and the relay ports that are for them, are the portable plane's, held inside; what they
// are joined with, threads carry on.

import { getSystemErrorName } from "node:util";
import {
  type Action,
  type Dataplane,
  type Endpoint,
  type Input,
  type Leg,
  type Listener,
  type ListenerKind,
  type PlaneAbilities,
  type PlaneCounters,
  type Route,
  type SocketId,
  Unavailable,
  type Usage,
} from "../contract.ts";
import { canonicalAddress } from "./endpoint.ts";
import { Expectations } from "./expectations.ts";
import { HandUpBudget } from "./hand-up-budget.ts";
import { type Engine, type LegArguments, maxListeners, owner, startEngine } from "./native-addon.ts";
import { NativeBuckets } from "./native-buckets.ts";
import { NativeCounters } from "./native-counters.ts";
import { DtlsSessions } from "./native-dtls.ts";
import { NativeJoins } from "./native-joins.ts";
import { abilitiesOf, type NativeOptions, settle } from "./native-options.ts";
import { NativeRelays } from "./native-relays.ts";
import { type HandedUp, icmpErrorOf, UpRing, upKind } from "./native-rings.ts";
import { type Neighbour, portableLimits, portablePlane } from "./portable.ts";
import { relayPortsByFamily } from "./relay-ports.ts";
import { startsLikeChannelData } from "./routes.ts";
import type { StreamingPlaneOptions } from "./stream.ts";

/** The ring of packets for relay ports of another plane and of ICMP errors, beside one for each listener. */
const crossings = maxListeners;
/** How long a thread that sleeps may go without hearing that a relay port is to be closed. */
const lazyFlushMillis = 10;
/** Throws `Unavailable` with the reason why this machine cannot have it. */
export function nativePlane(options: StreamingPlaneOptions, native: NativeOptions = {}): Dataplane {
  return new NativePlane(options, native);
}

interface OwnListener {
  readonly listener: Listener;
  readonly index: number;
  readonly rings: readonly UpRing[];
}

class NativePlane implements Dataplane {
  readonly name = "native";
  readonly abilities: PlaneAbilities;
  readonly #options: StreamingPlaneOptions;
  readonly #engine: Engine;
  readonly #counters: NativeCounters;
  readonly #threads: number;
  readonly #budget: HandUpBudget;
  readonly #listeners = new Map<SocketId, OwnListener>();
  /** What threads know of this, too: else a client's ChannelData goes back to them behind the orders of meanwhile. */
  readonly #expected = new Expectations();
  readonly #relays: NativeRelays;
  readonly #dtls: DtlsSessions;
  readonly #crossings: readonly UpRing[];
  readonly #joins: NativeJoins;
  readonly #portable: Dataplane & Neighbour;
  /** Of the portable plane. */
  readonly #connections = new Set<SocketId>();
  /** Relay ports of UDP that the portable plane opened for them or since they hand up, or will, and where, as peers see it. */
  readonly #delegated = new Map<SocketId, Endpoint | undefined>();
  #urgentFlush: NodeJS.Immediate | undefined;
  #lazyFlush: NodeJS.Timeout | undefined;
  #isClosed = false;
  #isStopped = false;

  constructor(options: StreamingPlaneOptions, native: NativeOptions) {
    const { threads, relays, buckets, handUp, dtls, engine } = settle(native);
    this.#options = options;
    this.#threads = threads;
    this.#budget = new HandUpBudget(handUp);
    this.#counters = new NativeCounters(threads, relays);
    this.#engine = startEngine({ ...engine, ...this.#counters.memory }, () => this.#wake());
    this.abilities = abilitiesOf(this.#engine, options, (relay) => this.#hasRoom(relay));
    this.#engine.flush(options.now(), false);
    this.#crossings = this.#ringsOf(crossings);
    const ports = relayPortsByFamily(options);
    const limits = new NativeBuckets(this.#engine, buckets);
    this.#relays = new NativeRelays(this.#engine, options, { ports, limits, slots: relays });
    this.#dtls = new DtlsSessions(this.#engine, options, dtls);
    const neighbour: Neighbour = { deliver: (from, to, payload, hops) => this.#arrive(from, to, payload, hops) };
    this.#joins = new NativeJoins(this.#engine, { limits, now: options.now, usage: this.#counters.joined });
    const inside = { ...options, hand: (input: Input) => this.#handFromPortable(input) };
    this.#portable = portablePlane(
      inside,
      { ...portableLimits, handUp },
      { neighbour, ports, limits, joins: this.#joins },
    );
  }

  async listen(transport: ListenerKind, at: Endpoint): Promise<Listener> {
    if (transport !== "udp" && transport !== "dtls") return this.#portable.listen(transport, at);
    if (transport === "dtls") this.#dtls.show(this.#options.entrance?.certificates);
    const index = this.#listeners.size;
    if (index === maxListeners) throw new Unavailable(`no more than ${maxListeners} listeners`);
    const rings = this.#ringsOf(index);
    const port = this.#engine.listen(index, at.address, at.port, transport === "dtls");
    if (port < 0) {
      const cause = Object.assign(new Error(`bind ${getSystemErrorName(port)}`), { code: getSystemErrorName(port) });
      throw new Unavailable(`cannot listen on ${transport} ${at.address} port ${at.port}`, { cause });
    }
    const listener: Listener = {
      socket: this.#options.newSocketId(),
      transport,
      at: { address: canonicalAddress(at.address), port },
    };
    this.#listeners.set(listener.socket, { listener, index, rings });
    this.#engine.flush(this.#options.now(), false);
    return listener;
  }

  perform(action: Action): void {
    switch (action.do) {
      case "open-relay":
        if (action.transport === "tcp") this.#portable.perform(action);
        else if (action.handsUp || this.#connections.has(action.via)) this.#delegate(action);
        else if (!this.#isClosed) void this.#openRelay(action);
        break;
      case "close-relay":
        this.#closeRelay(action);
        break;
      case "assign-relay":
      case "connect":
      case "join":
      case "hang-up":
        this.#portable.perform(action);
        break;
      case "route":
        if (action.legs.some(({ socket }) => this.#isElsewhere(socket))) this.#portable.perform(action);
        else this.#route(action.legs);
        break;
      case "unroute":
        if (action.legs.some(({ socket }) => this.#isElsewhere(socket))) this.#portable.perform(action);
        else this.#unroute(action.legs);
        break;
      case "expect":
        this.#expect(action);
        break;
      case "hand-up-bindings":
      case "ask-again":
      case "challenge":
        this.#tellThreads(action);
        break;
      case "send":
        if (this.#isElsewhere(action.via)) this.#portable.perform(action);
        else this.#send(action);
        break;
      case "report":
        this.#options.report(action.fact);
    }
  }

  counters(): PlaneCounters {
    const { relayed, dropped, relays, connections } = this.#portable.counters();
    return {
      relayed: [...this.#counters.relayed(), ...relayed],
      dropped: this.#counters.dropped(dropped),
      relays: this.#relays.size + relays,
      connections: connections + this.#dtls.size,
      ...this.#counters.answered(),
    };
  }

  usage(socket: SocketId): Usage | undefined {
    const known = this.#relays.find(socket);
    return known ? this.#counters.usage(known.slot) : this.#portable.usage(socket);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#relays.closeAll();
    this.#engine.flush(this.#options.now(), true);
    await Promise.all([this.#relays.allClosed(), this.#portable.close()]);
    clearImmediate(this.#urgentFlush);
    clearTimeout(this.#lazyFlush);
    this.#isStopped = true;
    this.#engine.stop();
  }

  async #openRelay(action: Action & { readonly do: "open-relay" }): Promise<void> {
    const { hand } = this.#options;
    const { relay: id } = action;
    const opened = await this.#relays.open(action, this.#dtls.find(action.via) !== undefined);
    this.#flushLater();
    if (opened === undefined || this.#isClosed) return;
    if (typeof opened === "string") hand({ is: "relay-failed", relay: id, why: opened });
    else hand({ is: "relay-opened", relay: id, at: opened.at });
  }

  #closeRelay(action: Action & { readonly do: "close-relay" }): void {
    if (this.#delegated.has(action.relay)) {
      this.#disown(action.relay);
      this.#portable.perform(action);
    } else if (this.#relays.close(action.relay)) this.#flushLater();
    else this.#portable.perform(action);
  }

  #route(legs: Route): void {
    const [client, peer] = legs;
    const [from, to] = [this.#argumentsOf(client, true), this.#argumentsOf(peer, client.framing !== "indication")];
    if (!from || !to) return;
    if (!this.#engine.route(...from, ...to, Math.min(client.until, peer.until))) this.#counters.congested += 1;
    this.#flushLater();
  }

  #hasRoom(relay: SocketId): boolean {
    const known = this.#relays.find(relay);
    return !known || this.#isClosed || this.#engine.hasRoom(known.slot);
  }

  #unroute([client, peer]: Route): void {
    const [from, to] = [this.#argumentsOf(client, false), this.#argumentsOf(peer, false)];
    if (!from || !to) return;
    this.#engine.unroute(...from, ...to);
    this.#flushLater();
  }

  #expect(action: Action & { readonly do: "expect" }): void {
    const { via, from, until } = action;
    const socket = this.#listeners.get(via)?.index ?? this.#dtls.find(via)?.socket;
    if (socket === undefined) this.#portable.perform(action);
    else if (!this.#isClosed) {
      this.#expected.expire(this.#options.now());
      this.#expected.expect(via, from, until);
      this.#engine.expect(socket, from.address, from.port, until);
      this.#flushLater();
    }
  }

  #tellThreads(action: Action & { readonly do: "ask-again" | "challenge" | "hand-up-bindings" }): void {
    if (this.#isStopped) return;
    if (action.do === "ask-again") this.#engine.askAgain();
    else if (action.do === "challenge") this.#engine.challenge(action.by);
    else this.#engine.handUpBindings(action.until);
    this.#flushLater();
  }

  #send({ via, to, bytes, dontFragment = false }: Action & { readonly do: "send" }): void {
    const leg = this.#argumentsOf({ socket: via, peer: to, framing: "bare" }, true);
    if (!leg) return;
    if (!this.#engine.send(...leg, bytes, dontFragment)) this.#counters.congested += 1;
    if (leg[0] >= maxListeners) this.#flushSoon();
  }

  /** Undefined for sockets that are closed. Policy is asked for peers, not for clients, and only where packets leave. */
  #argumentsOf({ socket, peer, framing }: Omit<Leg, "until">, mayLeave: boolean): LegArguments | undefined {
    if (this.#isClosed) return undefined;
    const relay = this.#relays.find(socket);
    const session = this.#dtls.find(socket);
    const number = relay ? maxListeners + relay.slot : (session?.socket ?? this.#listeners.get(socket)?.index);
    if (number === undefined) return undefined;
    const isAllowed = mayLeave && (!relay || this.#options.mayReach(peer));
    const code = framing === "bare" ? 0 : framing === "indication" ? 1 : framing;
    const { address, port } = session?.client ?? peer;
    return [number, code, address, port, isAllowed, this.#relays.ownAddress(address)];
  }

  /** For what threads have to send: they are woken once for all of it. */
  #flushSoon(): void {
    if (this.#isStopped) return;
    this.#urgentFlush ??= setImmediate(() => {
      this.#urgentFlush = undefined;
      this.#engine.flush(this.#options.now(), false);
    });
  }

  /** For all else: it holds at once for packets that arrive from now on, whenever the thread hears of it. */
  #flushLater(): void {
    if (this.#isStopped) return;
    this.#lazyFlush ??= setTimeout(() => {
      this.#lazyFlush = undefined;
      this.#engine.flush(this.#options.now(), true);
    }, lazyFlushMillis);
  }

  #wake(): void {
    if (this.#isStopped) return;
    this.#engine.begin();
    for (const slot of this.#engine.takeClosed()) this.#closed(slot);
    this.#joins.wake();
    for (const on of this.#listeners.values()) {
      for (const ring of on.rings) ring.drain((handedUp) => this.#take(on, handedUp));
    }
    for (const ring of this.#crossings) {
      ring.drain((crossing) => (crossing.kind === upKind.icmp ? this.#hear(crossing) : this.#cross(crossing)));
    }
  }

  /** Only now has the thread counted everything that this relay port carried. */
  #closed(slot: number): void {
    const relay = this.#relays.closed(slot);
    if (relay.wasOpen) {
      this.#options.report({ fact: "relay-closed", relay: relay.id, usage: this.#counters.usage(slot) });
    }
    this.#counters.clear(slot);
    this.#relays.release(relay);
  }

  #take({ listener, index }: OwnListener, handedUp: HandedUp): void {
    if (this.#isClosed) return;
    const { kind, from, bytes, socket } = handedUp;
    if (kind === upKind.knock) {
      this.#refuse(this.#dtls.admit(index, from, bytes));
      this.#flushSoon();
    } else if (kind === upKind.ended) {
      const session = this.#dtls.ended(socket);
      if (session) this.#options.hand({ is: "hung-up", via: session.id });
    } else
      this.#handUp(listener, listener.transport === "dtls" ? this.#dtls.spoke(socket)?.id : listener.socket, handedUp);
  }

  #handUp(on: Listener, via: SocketId | undefined, { from, bytes, socket }: HandedUp): void {
    if (via === undefined) return;
    const now = this.#options.now();
    const goesUp = !startsLikeChannelData(bytes) || this.#expected.has(via, from, now);
    if (this.#options.mayEnter?.(from.address) === false) this.#refuse("forbidden-client");
    else if (!this.#budget.admits(from.address, now)) this.#refuse("flooded");
    else if (!goesUp) this.#arriveAt(socket, from, bytes, 0);
    else this.#options.hand({ is: "datagram", on, via, from, bytes });
  }

  #refuse(why: "forbidden-client" | "flooded" | undefined): void {
    if (why === "forbidden-client") this.#counters.forbidden += 1;
    else if (why === "flooded") this.#counters.flooded += 1;
  }

  #cross({ from, bytes, ownAddress, toPort, hops }: HandedUp): void {
    const address = this.#relays.ownAddresses[ownAddress];
    if (address !== undefined) this.#portable.deliver(from, { address, port: toPort }, bytes, hops);
  }

  /** Threads have bounded how often. */
  #hear(handedUp: HandedUp): void {
    const relay = this.#relays.inSlot(handedUp.socket - maxListeners);
    if (relay) this.#options.hand({ is: "icmp", relay: relay.id, ...icmpErrorOf(handedUp) });
  }

  #arrive(from: Endpoint, to: Endpoint, payload: Uint8Array, hops: number): boolean {
    const relay = this.#relays.at(to);
    if (!relay || this.#isClosed) return false;
    this.#arriveAt(maxListeners + relay.slot, from, payload, hops);
    return true;
  }

  /** The thread judges it again, after everything that it has been told so far. */
  #arriveAt(socket: number, from: Endpoint, bytes: Uint8Array, hops: number): void {
    if (!this.#engine.arrive(socket, from.address, from.port, bytes, hops)) this.#counters.congested += 1;
    this.#flushSoon();
  }

  #isElsewhere(socket: SocketId): boolean {
    return this.#connections.has(socket) || this.#delegated.has(socket);
  }

  #delegate(action: Action & { readonly do: "open-relay" }): void {
    this.#delegated.set(action.relay, undefined);
    this.#portable.perform(action);
  }

  #handFromPortable(input: Input): void {
    if (input.is === "datagram") this.#connections.add(input.via);
    else if (input.is === "hung-up") this.#connections.delete(input.via);
    else if (input.is === "relay-failed") this.#delegated.delete(input.relay);
    else if (input.is === "relay-opened" && this.#delegated.has(input.relay)) this.#own(input.relay, input.at);
    this.#options.hand(input);
  }

  /** From now on, packets of ours for this relay port of the portable plane cross over to it. */
  #own(relay: SocketId, at: Endpoint): void {
    this.#delegated.set(relay, at);
    this.#relays.setOwner(at, owner.otherPlane);
  }

  #disown(relay: SocketId): void {
    const at = this.#delegated.get(relay);
    if (at) this.#relays.setOwner(at, owner.nobody);
    this.#delegated.delete(relay);
  }

  #ringsOf(listener: number): UpRing[] {
    return Array.from({ length: this.#threads }, (_, worker) => new UpRing(this.#engine, worker, listener));
  }
}
