// The relay ports of the native plane: which are open, in which slot of the engine, and at which of our addresses.

import assert from "node:assert";
import { constants } from "node:os";
import type {
  Action,
  Endpoint,
  PlaneOptions,
  RelayAddress,
  RelayPortWish,
  SocketId,
  TrafficLimit,
  Transport,
} from "../contract.ts";
import { familyOf } from "../contract.ts";
import { canonicalAddress } from "./endpoint.ts";
import { type Engine, noOwnAddress, owner, transports } from "./native-addon.ts";
import type { NativeBuckets } from "./native-buckets.ts";
import type { RelayPort, RelayPorts, RelayPortsByFamily } from "./relay-ports.ts";

type OpenRelay = Extract<Action, { do: "open-relay" }>;

interface Berth {
  readonly slot: number;
  readonly drawn: RelayPort;
  readonly reach: Reach;
}

/** What a relay port is to be drawn from and bound with. */
interface Wants {
  readonly wanted: OpenRelay;
  readonly ports: RelayPorts;
  readonly limits: readonly TrafficLimit[];
  readonly buckets: readonly number[];
  readonly transport: Transport;
  readonly done: (outcome: Outcome) => void;
}

type Outcome = NativeRelay | "exhausted" | "no-such-family";

export interface NativeRelay extends Berth {
  readonly id: SocketId;
  /** As peers see it. */
  readonly at: Endpoint;
  readonly limits: readonly TrafficLimit[];
}

/** What relay ports are made of. */
export interface Stock {
  readonly ports: RelayPortsByFamily;
  readonly limits: NativeBuckets;
  readonly slots: number;
}

/** A relay address as it is when a port is opened there, canonical. */
interface Reach {
  /** As it was given. */
  readonly of: Required<RelayAddress>;
  readonly bind: string;
  readonly external: string;
  /** Both among `ownAddresses`, each once. */
  readonly indices: readonly number[];
}

/** After so many ports in vain, packets and timers get their turn. */
const bindsInOneTurn = 8;

/** Of the engine (`mostOwnAddresses` in native/shared.h). */
const ownAddressesAtMost = 16;

const { EADDRINUSE, EACCES } = constants.errno;

export class NativeRelays {
  /** Every address that a relay port has or had, as bound and as peers see it, by the number that threads know it by. */
  readonly ownAddresses: string[] = [];
  readonly #engine: Engine;
  readonly #options: PlaneOptions;
  readonly #ports: RelayPortsByFamily;
  readonly #limits: NativeBuckets;
  readonly #relays = new Map<SocketId, NativeRelay>();
  readonly #inSlots: (NativeRelay | undefined)[] = [];
  /** The newest last. */
  #reaches: readonly Reach[] = [];
  /** By index of the own address and port, in one number. */
  readonly #places = new Map<number, NativeRelay>();
  /** Asked for, and neither open nor failed yet. */
  readonly #opening = new Map<SocketId, Wants>();
  /** By slot: those that a thread has yet to let go of. */
  readonly #closing = new Map<number, NativeRelay>();
  readonly #awaitingRelease: (() => void)[] = [];
  readonly #slots: number;
  #slotsUsed = 0;
  readonly #freeSlots: number[] = [];

  constructor(engine: Engine, options: PlaneOptions, { ports, limits, slots }: Stock) {
    this.#engine = engine;
    this.#options = options;
    this.#ports = ports;
    this.#limits = limits;
    this.#slots = slots;
    for (const address of options.relayAddresses) this.#reachOf(address);
  }

  get size(): number {
    return this.#relays.size;
  }

  find(id: SocketId): NativeRelay | undefined {
    return this.#relays.get(id);
  }

  /** Open in this slot of the engine. */
  inSlot(slot: number): NativeRelay | undefined {
    return this.#inSlots[slot];
  }

  at(place: Endpoint): NativeRelay | undefined {
    return this.#places.get(placeOf(this.ownAddress(place.address), place.port));
  }

  /** Index among `ownAddresses`, or `noOwnAddress`. */
  ownAddress(address: string): number {
    const index = this.ownAddresses.indexOf(address);
    return index < 0 ? noOwnAddress : index;
  }

  /** Says whose relay port this is, seen by peers as `at`: one in this slot, nobody's or another plane's. */
  setOwner({ address, port }: Endpoint, slot: number): void {
    for (const relayAddress of this.#options.relayAddresses) this.#reachOf(relayAddress);
    for (const { external, indices } of this.#reaches) {
      if (external === address) for (const index of indices) this.#engine.setOwner(index, port, slot);
    }
  }

  /**
   * For a client on this transport. Says what came of it: before it returns, unless every port is taken and some are about
   * to be free, or many are other programs'. Never, if it is closed before.
   */
  open(wanted: OpenRelay, transport: Transport, done: (outcome: Outcome) => void): void {
    const { relay: id, family, limits = [] } = wanted;
    const ports = this.#ports.get(family);
    const buckets = ports && this.#limits.hold(limits);
    if (!ports) done("no-such-family");
    else if (!buckets) done("exhausted");
    else {
      const wants = { wanted, ports, limits, buckets, transport, done };
      this.#opening.set(id, wants);
      this.#bind(wants);
    }
  }

  /** Undefined if it was not open. It goes on counting until it is `freed`. */
  close(id: SocketId): NativeRelay | undefined {
    this.#giveUp(id);
    const relay = this.#relays.get(id);
    if (!relay) return undefined;
    this.#relays.delete(id);
    this.#inSlots[relay.slot] = undefined;
    for (const index of relay.reach.indices) this.#places.delete(placeOf(index, relay.drawn.port));
    this.setOwner(relay.at, owner.nobody);
    this.#closing.set(relay.slot, relay);
    this.#engine.closeRelay(relay.slot);
    return relay;
  }

  closeAll(): void {
    for (const id of [...this.#opening.keys(), ...this.#relays.keys()]) this.close(id);
  }

  /** Resolves when no port is on its way to being closed. */
  async allClosed(): Promise<void> {
    while (this.#closing.size > 0) await this.#released();
  }

  /** The relay whose slot its threads have let go of. */
  closed(slot: number): NativeRelay {
    const relay = this.#closing.get(slot);
    assert(relay, "a slot that nobody closed");
    return relay;
  }

  /** Its port and its slot may be used again. */
  release({ slot, drawn, limits }: NativeRelay): void {
    this.#limits.release(limits);
    this.#closing.delete(slot);
    this.#freeSlots.push(slot);
    this.#ports.get(familyOf(drawn.address.bind))?.release(drawn);
    for (const resolve of this.#awaitingRelease.splice(0)) resolve();
  }

  /** What a relay address is now; once it has been another, both are known. */
  #reachOf(address: RelayAddress): Reach {
    const of = { bind: address.bind, external: address.external ?? address.bind };
    const known = this.#reaches.find((reach) => reach.of.bind === of.bind && reach.of.external === of.external);
    if (known) return known;
    const [bind, external] = reachedAt(address);
    const reach = { of, bind, external, indices: [...new Set([bind, external])].map((each) => this.#numberFor(each)) };
    this.#reaches = [...this.#reaches, reach];
    return reach;
  }

  /** With all numbers given out, that of the external address that has not been ours for longest. */
  #numberFor(address: string): number {
    const known = this.ownAddresses.indexOf(address);
    if (known >= 0) return known;
    if (this.ownAddresses.length < ownAddressesAtMost) return this.ownAddresses.push(address) - 1;
    const current = new Set(this.#options.relayAddresses.flatMap(reachedAt));
    const inUse = new Set([...this.#relays.values()].map(({ reach }) => reach.external));
    const former = this.#reaches.filter(({ external }) => !current.has(external));
    const retired = former.find(({ external }) => !inUse.has(external)) ?? former[0];
    assert(retired, "more relay addresses than there are numbers for them");
    this.#reaches = this.#reaches.filter((reach) => reach !== retired);
    const number = this.ownAddress(retired.external);
    this.ownAddresses[number] = address;
    return number;
  }

  #bind(wants: Wants): void {
    if (!this.#opening.has(wants.wanted.relay)) return;
    let triesLeft = bindsInOneTurn;
    while (triesLeft > 0 && this.#bindOne(wants) === "taken") triesLeft -= 1;
    if (triesLeft === 0) setImmediate(() => this.#bind(wants));
  }

  /** `taken`: by another program. */
  #bindOne(wants: Wants): "taken" | "done" {
    const berth = this.#draw(wants.ports, wants.wanted.port);
    const outcome = berth && this.#try(berth, wants);
    if (outcome === "taken") return "taken";
    if (berth && outcome === "bound") this.#opened(berth, wants);
    else if (berth || this.#closing.size === 0) this.#failed(wants);
    else this.#awaitingRelease.push(() => this.#bind(wants));
    return "done";
  }

  #failed({ wanted, done }: Wants): void {
    this.#giveUp(wanted.relay);
    done("exhausted");
  }

  #giveUp(id: SocketId): void {
    const wants = this.#opening.get(id);
    if (wants && this.#opening.delete(id)) this.#limits.release(wants.limits);
  }

  #opened({ slot, drawn, reach }: Berth, { wanted: { relay: id }, limits, done }: Wants): void {
    const at = { address: reach.external, port: drawn.port };
    const relay = { slot, drawn, reach, id, at, limits };
    this.#opening.delete(id);
    this.#relays.set(id, relay);
    this.#inSlots[slot] = relay;
    for (const index of reach.indices) this.#places.set(placeOf(index, drawn.port), relay);
    this.setOwner(at, slot);
    done(relay);
  }

  #draw(ports: RelayPorts, wish: RelayPortWish | undefined): Berth | undefined {
    const slot = this.#takeSlot();
    if (slot === undefined) return undefined;
    const drawn = ports.draw(this.#options.now(), wish);
    if (drawn) return { slot, drawn, reach: this.#reachOf(drawn.address) };
    this.#freeSlots.push(slot);
    return undefined;
  }

  /** `taken` is about this one port; any other error would meet us on the next one again. */
  #try(
    { slot, drawn, reach: { bind, external } }: Berth,
    { wanted: { client }, ports, buckets, transport }: Wants,
  ): "bound" | "taken" | "impossible" {
    const where = [slot, bind, drawn.port, external] as const;
    const error = this.#engine.openRelay(...where, client.address, client.port, buckets, transports.indexOf(transport));
    if (error === 0) return "bound";
    this.#freeSlots.push(slot);
    const isTaken = error === EADDRINUSE || error === EACCES;
    if (isTaken) ports.setAside(drawn, this.#options.now());
    else ports.release(drawn);
    return isTaken ? "taken" : "impossible";
  }

  #takeSlot(): number | undefined {
    const free = this.#freeSlots.pop();
    if (free !== undefined || this.#slotsUsed === this.#slots) return free;
    this.#slotsUsed += 1;
    return this.#slotsUsed - 1;
  }

  #released(): Promise<void> {
    return new Promise((resolve) => this.#awaitingRelease.push(resolve));
  }
}

function reachedAt({ bind, external = bind }: RelayAddress): [bind: string, external: string] {
  return [canonicalAddress(bind), canonicalAddress(external)];
}

function placeOf(index: number, port: number): number {
  return index * 0x10000 + port;
}
