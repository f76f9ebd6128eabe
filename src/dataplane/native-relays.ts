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
  readonly ports: RelayPorts;
  readonly buckets: readonly number[];
  readonly transport: Transport;
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

  /** For a client on this transport. Undefined if it was closed meanwhile. */
  async open(
    wanted: OpenRelay,
    transport: Transport,
  ): Promise<NativeRelay | "exhausted" | "no-such-family" | undefined> {
    const { relay: id, family, limits = [] } = wanted;
    const ports = this.#ports.get(family);
    if (!ports) return "no-such-family";
    const buckets = this.#limits.hold(limits);
    if (!buckets) return "exhausted";
    this.#opening.add(id);
    const berth = await this.#bind(wanted, { ports, buckets, transport });
    if (!berth) {
      this.#limits.release(limits);
      return this.#opening.delete(id) ? "exhausted" : undefined;
    }
    const { drawn, reach } = berth;
    const at = { address: reach.external, port: drawn.port };
    const relay = { ...berth, id, at, limits, wasOpen: this.#opening.delete(id) };
    if (!relay.wasOpen) {
      this.#let(relay);
      return undefined;
    }
    this.#relays.set(id, relay);
    this.#inSlots[relay.slot] = relay;
    for (const index of reach.indices) this.#places.set(placeOf(index, drawn.port), relay);
    this.setOwner(at, relay.slot);
    return relay;
  }

  /** Undefined if it was not open. It goes on counting until it is `freed`. */
  close(id: SocketId): NativeRelay | undefined {
    this.#opening.delete(id);
    const relay = this.#relays.get(id);
    if (!relay) return undefined;
    this.#relays.delete(id);
    this.#inSlots[relay.slot] = undefined;
    for (const index of relay.reach.indices) this.#places.delete(placeOf(index, relay.drawn.port));
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

  #let(relay: NativeRelay): void {
    this.#closing.set(relay.slot, relay);
    this.#engine.closeRelay(relay.slot);
  }

  /** Undefined when no port is to be had, or the relay is no longer wanted. */
  async #bind(wanted: OpenRelay, wants: Wants): Promise<Berth | undefined> {
    const { ports } = wants;
    const { relay: id, client, port } = wanted;
    for (let tries = 1; this.#opening.has(id); tries += 1) {
      const berth = await this.#drawWhenFree(ports, port);
      if (!berth) return undefined;
      const outcome = this.#try(berth, client, wants);
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
    if (drawn) return { slot, drawn, reach: this.#reachOf(drawn.address) };
    this.#freeSlots.push(slot);
    return undefined;
  }

  /** `taken` is about this one port; any other error would meet us on the next one again. */
  #try(
    { slot, drawn, reach: { bind, external } }: Berth,
    client: Endpoint,
    { ports, buckets, transport }: Wants,
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
