// The plane for production on Linux: threads in C++ (native/) move the packets, and JavaScript hears only of what no
// route takes. What accepts streams, connects them to peers or hands up strays is the portable plane's, held inside; what
// streams are joined with, threads carry on.

import type {
  Action,
  Dataplane,
  Endpoint,
  Input,
  Leg,
  Listener,
  ListenerKind,
  PlaneAbilities,
  PlaneCounters,
  Route,
  SocketId,
  Usage,
} from "../contract.ts";
import type { Adopt } from "./client-stream.ts";
import { Expectations } from "./expectations.ts";
import { HandUpBudget } from "./hand-up-budget.ts";
import { type Engine, type LegArguments, maxListeners, startEngine } from "./native-addon.ts";
import { NativeBuckets } from "./native-buckets.ts";
import { NativeCounters } from "./native-counters.ts";
import { NativeCredentials } from "./native-credentials.ts";
import { Delegations } from "./native-delegations.ts";
import { DtlsSessions } from "./native-dtls.ts";
import { Flushes } from "./native-flushes.ts";
import { NativeJoins } from "./native-joins.ts";
import { NativeListeners, type OwnListener } from "./native-listeners.ts";
import { abilitiesOf, type NativeOptions, settle } from "./native-options.ts";
import { NativeRelays } from "./native-relays.ts";
import { type HandedUp, icmpErrorOf, type UpRing, upKind, upRings } from "./native-rings.ts";
import { NativeStreams } from "./native-streams.ts";
import { type Neighbour, portablePlane } from "./portable.ts";
import { relayPortsByFamily } from "./relay-ports.ts";
import { startsLikeChannelData } from "./routes.ts";
import type { StreamingPlaneOptions } from "./stream.ts";

/** The ring of packets for relay ports of another plane and of ICMP errors, and that of streams, beside one for each listener. */
const [crossings, streamsUp] = [maxListeners, maxListeners + 1];
/** Throws `Unavailable` with the reason why this machine cannot have it. */
export function nativePlane(options: StreamingPlaneOptions, native: NativeOptions = {}): Dataplane {
  return new NativePlane(options, native);
}

class NativePlane implements Dataplane {
  readonly name = "native";
  readonly abilities: PlaneAbilities;
  readonly #options: StreamingPlaneOptions;
  readonly #engine: Engine;
  readonly #counters: NativeCounters;
  readonly #flushes: Flushes;
  readonly #budget: HandUpBudget;
  readonly #listeners: NativeListeners;
  /** What threads know of this, too: else a client's ChannelData goes back to them behind the orders of meanwhile. */
  readonly #expected = new Expectations();
  readonly #relays: NativeRelays;
  readonly #credentials: NativeCredentials;
  readonly #dtls: DtlsSessions;
  readonly #streams: NativeStreams;
  readonly #crossings: readonly UpRing[];
  readonly #joins: NativeJoins;
  readonly #streamsUp: readonly UpRing[];
  readonly #portable: Dataplane & Neighbour;
  /** Of the portable plane, and its own. */
  readonly #connections = new Set<SocketId>();
  /** For those, and for whoever hands up. */
  readonly #delegated: Delegations;
  #isClosed = false;
  #isStopped = false;

  constructor(options: StreamingPlaneOptions, native: NativeOptions) {
    const { threads, relays, buckets, handUp, dtls, streams, engine } = settle(native);
    this.#options = options;
    this.#budget = new HandUpBudget(handUp);
    this.#counters = new NativeCounters(threads, relays);
    this.#engine = startEngine({ ...engine, ...this.#counters.memory }, () => this.#flushes.turn(() => this.#wake()));
    this.abilities = abilitiesOf(options, (relay) => this.#hasRoom(relay));
    this.#flushes = new Flushes(this.#engine, options.now);
    this.#flushes.now(false);
    this.#listeners = new NativeListeners(this.#engine, options, threads);
    this.#crossings = upRings(this.#engine, threads, crossings);
    this.#streamsUp = upRings(this.#engine, threads, streamsUp);
    const ports = relayPortsByFamily(options);
    const limits = new NativeBuckets(this.#engine, buckets);
    this.#relays = new NativeRelays(this.#engine, options, { ports, limits, slots: relays });
    this.#delegated = new Delegations(this.#relays);
    this.#credentials = new NativeCredentials(this.#engine, options.entrance?.certificates, this.#flushes);
    this.#dtls = new DtlsSessions(this.#engine, options, dtls);
    this.#streams = new NativeStreams(this.#engine, options, engine.streams.streams, () => this.#flushes.soon());
    const neighbour: Neighbour = { deliver: (from, to, payload, hops) => this.#arrive(from, to, payload, hops) };
    this.#joins = new NativeJoins(this.#engine, { limits, now: options.now, usage: this.#counters.joined });
    const inside = { ...options, hand: (input: Input) => this.#handFromPortable(input) };
    const adopt: Adopt = (arrival) => this.#streams.adopt(arrival);
    const around = { neighbour, ports, limits, joins: this.#joins, adopt };
    this.#portable = portablePlane(inside, { streams, handUp }, around);
  }

  async listen(transport: ListenerKind, at: Endpoint): Promise<Listener> {
    if (transport === "dtls" || transport === "tls" || transport === "any") this.#credentials.show();
    if (transport !== "udp" && transport !== "dtls") return this.#portable.listen(transport, at);
    const listener = this.#listeners.listen(transport, at);
    this.#flushes.now(false);
    return listener;
  }

  perform(action: Action): void {
    switch (action.do) {
      case "open-relay":
        if (action.transport === "tcp") this.#portable.perform(action);
        else if (action.handsUp || this.#connections.has(action.via)) this.#delegate(action);
        else if (!this.#isClosed) this.#openRelay(action);
        break;
      case "close-relay":
        this.#closeRelay(action);
        break;
      case "assign-relay":
        this.#assignRelay(action);
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
        break;
      default:
        this.#portable.perform(action);
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
    this.#flushes.now(true);
    await Promise.all([this.#relays.allClosed(), this.#portable.close()]);
    this.#flushes.stop();
    this.#isStopped = true;
    this.#streams.close();
    this.#engine.stop();
  }

  #openRelay(action: Action & { readonly do: "open-relay" }): void {
    const { hand } = this.#options;
    const { relay: id, via } = action;
    const transport = this.#dtls.find(via) ? "dtls" : this.#streams.find(via)?.listener.transport;
    this.#relays.open(action, transport ?? "udp", (opened) => {
      this.#flushes.later();
      if (typeof opened === "string") hand({ is: "relay-failed", relay: id, why: opened });
      else {
        this.#streams.assign(id, via);
        hand({ is: "relay-opened", relay: id, at: opened.at });
      }
    });
  }

  #closeRelay(action: Action & { readonly do: "close-relay" }): void {
    if (this.#delegated.has(action.relay)) {
      this.#delegated.remove(action.relay);
      this.#portable.perform(action);
    } else if (this.#relays.close(action.relay)) {
      this.#streams.assign(action.relay);
      this.#flushes.later();
    } else this.#portable.perform(action);
  }

  #assignRelay(action: Action & { readonly do: "assign-relay" }): void {
    if (this.#relays.find(action.relay)) this.#streams.assign(action.relay, action.via);
    else this.#portable.perform(action);
  }

  #route(legs: Route): void {
    const [client, peer] = legs;
    const [from, to] = [this.#argumentsOf(client, true), this.#argumentsOf(peer, client.framing !== "indication")];
    if (!from || !to) return;
    if (!this.#engine.route(...from, ...to, Math.min(client.until, peer.until))) this.#counters.congested += 1;
    this.#flushes.later();
  }

  #hasRoom(relay: SocketId): boolean {
    const known = this.#relays.find(relay);
    return !known || this.#isClosed || this.#engine.hasRoom(known.slot);
  }

  #unroute([client, peer]: Route): void {
    const [from, to] = [this.#argumentsOf(client, false), this.#argumentsOf(peer, false)];
    if (!from || !to) return;
    this.#engine.unroute(...from, ...to);
    this.#flushes.later();
  }

  #expect(action: Action & { readonly do: "expect" }): void {
    const { via, from, until } = action;
    const socket = this.#listeners.find(via)?.index ?? this.#connectionOf(via)?.socket;
    if (socket === undefined) this.#portable.perform(action);
    else if (!this.#isClosed) {
      this.#expected.expire(this.#options.now());
      this.#expected.expect(via, from, until);
      this.#engine.expect(socket, from.address, from.port, until);
      this.#flushes.later();
    }
  }

  #tellThreads(action: Action & { readonly do: "ask-again" | "challenge" | "hand-up-bindings" }): void {
    if (this.#isStopped) return;
    if (action.do === "ask-again") this.#engine.askAgain();
    else if (action.do === "challenge") this.#engine.challenge(action.by);
    else this.#engine.handUpBindings(action.until);
    this.#flushes.later();
  }

  #send({ via, to, bytes, dontFragment = false }: Action & { readonly do: "send" }): void {
    const stream = this.#streams.find(via);
    if (stream) {
      stream.sendAnswer(bytes);
      return;
    }
    const leg = this.#argumentsOf({ socket: via, peer: to, framing: "bare" }, true);
    if (!leg) return;
    if (!this.#engine.send(...leg, bytes, dontFragment)) this.#counters.congested += 1;
    this.#flushes.soon();
  }

  /** Undefined for sockets that are closed. Policy is asked for peers, not for clients, and only where packets leave. */
  #argumentsOf({ socket, peer, framing }: Omit<Leg, "until">, mayLeave: boolean): LegArguments | undefined {
    if (this.#isClosed) return undefined;
    const relay = this.#relays.find(socket);
    const connection = this.#connectionOf(socket);
    const number = relay ? maxListeners + relay.slot : (connection?.socket ?? this.#listeners.find(socket)?.index);
    if (number === undefined) return undefined;
    const isAllowed = mayLeave && (!relay || this.#options.mayReach(peer));
    const code = framing === "bare" ? 0 : framing === "indication" ? 1 : framing;
    const { address, port } = connection?.client ?? peer;
    return [number, code, address, port, isAllowed, this.#relays.ownAddress(address)];
  }

  /** A session or a stream. */
  #connectionOf(id: SocketId): { readonly socket: number; readonly client: Endpoint } | undefined {
    return this.#dtls.find(id) ?? this.#streams.find(id);
  }

  #wake(): void {
    if (this.#isStopped) return;
    this.#engine.begin();
    for (const slot of this.#engine.takeClosed()) this.#closed(slot);
    this.#joins.wake();
    this.#listeners.drain((on, handedUp) => this.#take(on, handedUp));
    for (const ring of this.#streamsUp) ring.drain((handedUp) => this.#takeOfStream(handedUp));
    for (const ring of this.#crossings) {
      ring.drain((crossing) => (crossing.kind === upKind.icmp ? this.#hear(crossing) : this.#cross(crossing)));
    }
  }

  /** Only now has the thread counted everything that this relay port carried. */
  #closed(slot: number): void {
    const relay = this.#relays.closed(slot);
    this.#options.report({ fact: "relay-closed", relay: relay.id, usage: this.#counters.usage(slot) });
    this.#counters.clear(slot);
    this.#relays.release(relay);
  }

  #take({ listener, index }: OwnListener, handedUp: HandedUp): void {
    if (this.#isClosed) return;
    const { kind, from, bytes, socket } = handedUp;
    if (kind === upKind.knock) {
      this.#refuse(this.#dtls.admit(index, from, bytes));
      this.#flushes.soon();
    } else if (kind === upKind.ended) {
      const session = this.#dtls.ended(socket);
      if (session) this.#options.hand({ is: "hung-up", via: session.id });
    } else
      this.#handUp(listener, listener.transport === "dtls" ? this.#dtls.spoke(socket)?.id : listener.socket, handedUp);
  }

  #takeOfStream(handedUp: HandedUp): void {
    const { kind, bytes, socket } = handedUp;
    if (kind === upKind.released) this.#streams.released(socket, bytes);
    else if (this.#isClosed) return;
    else if (kind === upKind.ended) this.#streams.ended(socket);
    else {
      const stream = this.#streams.heard(socket, bytes);
      if (stream) this.#handUp(stream.listener, stream.id, handedUp);
    }
  }

  #handUp(on: Listener, via: SocketId | undefined, { from, bytes, socket }: HandedUp): void {
    if (via === undefined) return;
    const now = this.#options.now();
    const goesUp = !startsLikeChannelData(bytes) || this.#expected.has(via, from, now);
    if (this.#options.mayEnter?.(from.address) === false) this.#refuse("forbidden-client");
    else if (!this.#budget.admits(from.address, now, on.transport === "udp" || on.transport === "dtls"))
      this.#refuse("flooded");
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
    this.#flushes.soon();
  }

  #isElsewhere(socket: SocketId): boolean {
    return this.#connections.has(socket) || this.#delegated.has(socket);
  }

  #delegate(action: Action & { readonly do: "open-relay" }): void {
    this.#delegated.add(action.relay);
    this.#portable.perform(action);
  }

  #handFromPortable(input: Input): void {
    if (input.is === "datagram") this.#connections.add(input.via);
    else if (input.is === "hung-up") this.#connections.delete(input.via);
    else if (input.is === "relay-failed") this.#delegated.remove(input.relay);
    else if (input.is === "relay-opened") this.#delegated.opened(input.relay, input.at);
    this.#options.hand(input);
  }
}
