// The relay ports of the native plane: which are open, in which slot of the engine, and at which of our addresses.

import assert from "node:assert";
import { constants } from "node:os";
import { setImmediate } from "node:timers/promises";
import type {
  Action,
  Endpoint,
  PlaneOptions,
  RelayAddress,
  RelayPortWish,
  SocketId,
  TrafficLimit,
} from "../contract.ts";
import { familyOf } from "../contract.ts";
import { canonicalAddress } from "./endpoint.ts";
import { type Engine, noOwnAddress, owner } from "./native-addon.ts";
import type { NativeBuckets } from "./native-buckets.ts";
import type { RelayPort, RelayPorts, RelayPortsByFamily } from "./relay-ports.ts";

type OpenRelay = Extract<Action, { do: "open-relay" }>;

interface Berth {
  readonly slot: number;
  readonly drawn: RelayPort;
}

export interface NativeRelay extends Berth {
  readonly id: SocketId;
  /** As peers see it. */
  readonly at: Endpoint;
  readonly limits: readonly TrafficLimit[];
  /** False if it was closed before the controller heard of it. */
  readonly wasOpen: boolean;
}

/** What relay ports are made of. */
export interface Stock {
  readonly ports: RelayPortsByFamily;
  readonly limits: NativeBuckets;
  readonly slots: number;
}

/** A relay address, canonical. */
interface Reach {
  readonly bind: string;
  readonly external: string;
  /** Both among `ownAddresses`, each once. */
  readonly indices: readonly number[];
}

/** After so many ports in vain, packets and timers get their turn. */
const bindsInOneTurn = 8;

const { EADDRINUSE, EACCES } = constants.errno;

export class NativeRelays {
  /** Every address that a relay port has, as bound and as peers see it. */
  readonly ownAddresses: readonly string[];
  readonly #engine: Engine;
  readonly #options: PlaneOptions;
  readonly #ports: RelayPortsByFamily;
  readonly #limits: NativeBuckets;
  readonly #relays = new Map<SocketId, NativeRelay>();
  readonly #reaches: ReadonlyMap<RelayAddress, Reach>;
  /** By index of the own address and port, in one number. */
  readonly #places = new Map<number, NativeRelay>();
  /** Asked for, and neither open nor failed yet. */
  readonly #opening = new Set<SocketId>();
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
    const texts = options.relayAddresses.flatMap(({ bind, external = bind }) => [bind, external]);
    this.ownAddresses = [...new Set(texts.map(canonicalAddress))];
    this.#reaches = new Map(options.relayAddresses.map((address) => [address, this.#reachOf(address)]));
  }

  get size(): number {
    return this.#relays.size;
  }

  find(id: SocketId): NativeRelay | undefined {
    return this.#relays.get(id);
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
    for (const { external, indices } of this.#reaches.values()) {
      if (external === address) for (const index of indices) this.#engine.setOwner(index, port, slot);
    }
  }

  /** Undefined if it was closed meanwhile. */
  async open(wanted: OpenRelay): Promise<NativeRelay | "exhausted" | "no-such-family" | undefined> {
    const { relay: id, family, limits = [] } = wanted;
    const ports = this.#ports.get(family);
    if (!ports) return "no-such-family";
    const buckets = this.#limits.hold(limits);
    if (!buckets) return "exhausted";
    this.#opening.add(id);
    const berth = await this.#bind(wanted, ports, buckets);
    if (!berth) {
      this.#limits.release(limits);
      return this.#opening.delete(id) ? "exhausted" : undefined;
    }
    const { slot, drawn } = berth;
    const at = { address: this.#reach(drawn).external, port: drawn.port };
    const relay = { id, slot, drawn, at, limits, wasOpen: this.#opening.delete(id) };
    if (!relay.wasOpen) {
      this.#let(relay);
      return undefined;
    }
    this.#relays.set(id, relay);
    for (const index of this.#reach(drawn).indices) this.#places.set(placeOf(index, drawn.port), relay);
    this.setOwner(at, slot);
    return relay;
  }

  /** Undefined if it was not open. It goes on counting until it is `freed`. */
  close(id: SocketId): NativeRelay | undefined {
    this.#opening.delete(id);
    const relay = this.#relays.get(id);
    if (!relay) return undefined;
    this.#relays.delete(id);
    for (const index of this.#reach(relay.drawn).indices) this.#places.delete(placeOf(index, relay.drawn.port));
    this.setOwner(relay.at, owner.nobody);
    this.#let(relay);
    return relay;
  }

  closeAll(): void {
    this.#opening.clear();
    for (const id of this.#relays.keys()) this.close(id);
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

  #reachOf({ bind, external = bind }: RelayAddress): Reach {
    const reach = { bind: canonicalAddress(bind), external: canonicalAddress(external) };
    return { ...reach, indices: [...new Set([reach.bind, reach.external])].map((each) => this.ownAddress(each)) };
  }

  #reach({ address }: RelayPort): Reach {
    return this.#reaches.get(address) ?? this.#reachOf(address);
  }

  #let(relay: NativeRelay): void {
    this.#closing.set(relay.slot, relay);
    this.#engine.closeRelay(relay.slot);
  }

  /** Undefined when no port is to be had, or the relay is no longer wanted. */
  async #bind(wanted: OpenRelay, ports: RelayPorts, buckets: readonly number[]): Promise<Berth | undefined> {
    const { relay: id, client, port } = wanted;
    for (let tries = 1; this.#opening.has(id); tries += 1) {
      const berth = await this.#drawWhenFree(ports, port);
      if (!berth) return undefined;
      const outcome = this.#try(berth, ports, client, buckets);
      if (outcome !== "taken") return outcome === "bound" ? berth : undefined;
      if (tries % bindsInOneTurn === 0) await setImmediate();
    }
    return undefined;
  }

  async #drawWhenFree(ports: RelayPorts, wish: RelayPortWish | undefined): Promise<Berth | undefined> {
    let berth = this.#draw(ports, wish);
    while (!berth && this.#closing.size > 0) {
      await this.#released();
      berth = this.#draw(ports, wish);
    }
    return berth;
  }

  #draw(ports: RelayPorts, wish: RelayPortWish | undefined): Berth | undefined {
    const slot = this.#takeSlot();
    if (slot === undefined) return undefined;
    const drawn = ports.draw(this.#options.now(), wish);
    if (drawn) return { slot, drawn };
    this.#freeSlots.push(slot);
    return undefined;
  }

  /** `taken` is about this one port; any other error would meet us on the next one again. */
  #try(
    { slot, drawn }: Berth,
    ports: RelayPorts,
    client: Endpoint,
    buckets: readonly number[],
  ): "bound" | "taken" | "impossible" {
    const { bind, external } = this.#reach(drawn);
    const error = this.#engine.openRelay(slot, bind, drawn.port, external, client.address, client.port, buckets);
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

function placeOf(index: number, port: number): number {
  return index * 0x10000 + port;
}
