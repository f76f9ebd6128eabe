// A network of one client, one NAT and our own server, without sockets; and a clock that moves when nothing else does.

import { setImmediate } from "node:timers/promises";
import type { Endpoint, Millis } from "../../src/contract.ts";
import type { Dependence } from "../../src/discover/nat.ts";
import { type OpenPort, type Port, Prober, type Sleep } from "../../src/discover/prober.ts";
import type { Square } from "../../src/turn/requests/nat-discovery.ts";
import { World } from "../turn/world.ts";

const corners: Square = [
  { socket: 1, at: { address: "192.0.2.1", port: 3478 } },
  { socket: 11, at: { address: "192.0.2.1", port: 3479 } },
  { socket: 12, at: { address: "192.0.2.2", port: 3478 } },
  { socket: 13, at: { address: "192.0.2.2", port: 3479 } },
];

export const primary = corners[0].at;

export interface Behaviour {
  /** None: packets keep their source. */
  readonly mapping?: Dependence;
  readonly filtering: Dependence;
  /** Whether what one port has contacted may send to every port of the host. */
  readonly sharesFilter?: boolean;
  readonly hairpins?: boolean;
  /** Seconds that a mapping lives after it was last used from inside. */
  readonly lifetimeSeconds?: number;
  /** Whether the server knows RFC 5780. */
  readonly helps?: boolean;
  /** For each packet that enters the network, in order: whether it is lost. */
  readonly loses?: (packet: number) => boolean;
}

interface Mapping {
  readonly inside: Endpoint;
  readonly outside: Endpoint;
  readonly contacted: Endpoint[];
  usedAt: Millis;
}

/** Runs `attempt` on a clock of its own, to its end. */
export class Simulation {
  now: Millis = 0;
  packets = 0;
  readonly prober: Prober;
  readonly sleep: Sleep;
  readonly #behaviour: Behaviour;
  readonly #server: World;
  readonly #mappings: Mapping[] = [];
  readonly #ports = new Map<number, (bytes: Buffer, from: Endpoint) => void>();
  readonly #sleepers = new Set<{ readonly at: Millis; readonly wake: () => void }>();

  constructor(behaviour: Behaviour) {
    this.#behaviour = behaviour;
    this.#server = new World({ squares: behaviour.helps === false ? [] : [corners] });
    this.sleep = (millis, signal) =>
      new Promise((resolve, reject) => {
        const sleeper = { at: this.now + millis, wake: () => resolve(undefined) };
        this.#sleepers.add(sleeper);
        signal?.addEventListener("abort", () => {
          this.#sleepers.delete(sleeper);
          reject(signal.reason);
        });
      });
    this.prober = new Prober(this.#open, this.sleep);
  }

  async run<Found>(attempt: Promise<Found>): Promise<Found> {
    let isOver = false;
    const end = attempt.finally(() => {
      isOver = true;
    });
    for (;;) {
      await setImmediate();
      if (isOver) return end;
      this.#wakeNext();
    }
  }

  #wakeNext(): void {
    const [next] = [...this.#sleepers].sort((a, b) => a.at - b.at);
    if (!next) throw new Error("nobody waits for time to pass");
    this.#sleepers.delete(next);
    this.now = next.at;
    next.wake();
  }

  readonly #open: OpenPort = async (receive) => {
    const local = { address: "10.0.0.2", port: 40_000 + this.#ports.size };
    this.#ports.set(local.port, receive);
    const port: Port = {
      local,
      send: (bytes, to) => this.#leave(local, to, Buffer.from(bytes)),
      close: async () => void this.#ports.delete(local.port),
    };
    return port;
  };

  #isLost(): boolean {
    this.packets += 1;
    return this.#behaviour.loses?.(this.packets) ?? false;
  }

  /** From inside to wherever it is for. */
  #leave(inside: Endpoint, to: Endpoint, bytes: Buffer): void {
    if (this.#isLost()) return;
    const mapping = this.#map(inside, to);
    mapping.contacted.push(to);
    mapping.usedAt = this.now;
    const isOwn = this.#mappings.some(({ outside }) => isSame(outside, to));
    if (isOwn && this.#behaviour.hairpins) this.#enter(mapping.outside, to, bytes);
    if (isOwn) return;
    const corner = corners.find(({ at }) => isSame(at, to));
    if (!corner) return;
    const on = { socket: corner.socket, transport: "udp", at: corner.at } as const;
    const actions = this.#server.hears({ is: "datagram", on, via: on.socket, from: mapping.outside, bytes });
    for (const action of actions) {
      if (action.do !== "send" || this.#isLost()) continue;
      const from = corners.find(({ socket }) => socket === action.via)?.at ?? to;
      this.#enter(from, action.to, Buffer.from(action.bytes));
    }
  }

  /** From outside, through the filter. Comes a moment later, as packets do. */
  #enter(from: Endpoint, to: Endpoint, bytes: Buffer): void {
    const mapping = this.#mappings.find(({ outside }) => isSame(outside, to));
    if (!mapping || !this.#isAlive(mapping)) return;
    const { filtering, sharesFilter = false } = this.#behaviour;
    const all = sharesFilter ? this.#mappings : [mapping];
    const contacts = all.flatMap((each) => each.contacted);
    if (!contacts.some((contacted) => isCovered(filtering, contacted, from))) return;
    queueMicrotask(() => this.#ports.get(mapping.inside.port)?.(bytes, from));
  }

  #map(inside: Endpoint, to: Endpoint): Mapping {
    const { mapping: dependence } = this.#behaviour;
    const found = this.#mappings.find(
      (each) =>
        each.inside.port === inside.port &&
        this.#isAlive(each) &&
        each.contacted.some((contacted) => isCovered(dependence ?? "endpoint-independent", contacted, to)),
    );
    if (found) return found;
    const outside = dependence ? { address: "203.0.113.7", port: 50_000 + this.#mappings.length } : inside;
    const mapping = { inside, outside, contacted: [], usedAt: this.now };
    this.#mappings.push(mapping);
    return mapping;
  }

  #isAlive({ usedAt }: Mapping): boolean {
    return this.now - usedAt < (this.#behaviour.lifetimeSeconds ?? Number.POSITIVE_INFINITY) * 1000;
  }
}

/** Whether what stands for `known` stands for `other` as well. */
function isCovered(dependence: Dependence, known: Endpoint, other: Endpoint): boolean {
  if (dependence === "endpoint-independent") return true;
  return known.address === other.address && (dependence === "address-dependent" || known.port === other.port);
}

function isSame(a: Endpoint, b: Endpoint): boolean {
  return a.address === b.address && a.port === b.port;
}
