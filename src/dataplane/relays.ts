// The relay ports of one kind in the portable plane, of UDP or of TCP: which are on their way to being open, which are open,
// whose they are, and where peers reach them.

import { type Action, type Endpoint, familyOf, type PlaneOptions, type SocketId, type Transport } from "../contract.ts";
import type { ClientStream } from "./client-stream.ts";
import { Relay, type RelaySocket } from "./relay.ts";
import { bindRelayPort } from "./relay-binding.ts";
import type { RelayPortsByFamily } from "./relay-ports.ts";
import type { Tally } from "./tally.ts";

export type OpenRelay = Extract<Action, { do: "open-relay" }>;

export interface RelaysOptions<Socket extends RelaySocket> extends Pick<PlaneOptions, "now" | "hand" | "report"> {
  readonly ports: RelayPortsByFamily;
  readonly tally: Tally;
  /** Of a client that is on a stream. */
  readonly connection: (via: SocketId) => ClientStream | undefined;
  /** Of a client that is on none. */
  readonly transport: Transport;
  /** Rejects with the system's error. */
  readonly bind: (relay: SocketId, at: Endpoint) => Promise<Socket>;
}

export class Relays<Socket extends RelaySocket> {
  readonly #options: RelaysOptions<Socket>;
  readonly #open = new Map<SocketId, Relay<Socket>>();
  /** Asked for, and neither open nor failed yet. */
  readonly #opening = new Set<SocketId>();
  /** What opens or closes just now. */
  readonly #unsettled = new Set<Promise<void>>();
  /** By address and port: as bound, and as peers see them. */
  readonly #places = new Map<string, Map<number, Relay<Socket>>>();
  #isClosed = false;

  constructor(options: RelaysOptions<Socket>) {
    this.#options = options;
  }

  get size(): number {
    return this.#open.size;
  }

  find(id: SocketId): Relay<Socket> | undefined {
    return this.#open.get(id);
  }

  at({ address, port }: Endpoint): Relay<Socket> | undefined {
    return this.#places.get(address)?.get(port);
  }

  /** The controller is told what comes of it, unless it has closed it meanwhile. */
  open(wanted: OpenRelay): void {
    if (!this.#isClosed) this.#settle(this.#bind(wanted));
  }

  assign(id: SocketId, via: SocketId): void {
    const relay = this.#open.get(id);
    if (!relay) return;
    const { connection } = this.#options;
    connection(relay.via)?.lose(id);
    relay.via = via;
    connection(via)?.gain(id);
  }

  close(id: SocketId): void {
    this.#opening.delete(id);
    const relay = this.#open.get(id);
    if (!relay) return;
    const { connection, ports, report } = this.#options;
    this.#open.delete(id);
    connection(relay.via)?.lose(id);
    for (const { address, port } of [relay.socket.at, relay.at]) this.#places.get(address)?.delete(port);
    this.#settle(relay.socket.close());
    ports.get(familyOf(relay.drawn.address.bind))?.release(relay.drawn);
    report({ fact: "relay-closed", relay: id, usage: relay.usage });
  }

  /** No more are opened from here on. Resolves when the ports are free again. */
  async closeAll(): Promise<void> {
    this.#isClosed = true;
    this.#opening.clear();
    for (const id of this.#open.keys()) this.close(id);
    await Promise.all(this.#unsettled);
  }

  async #bind({ relay: id, family, via, port: wish, limits = [], handsUp = false }: OpenRelay): Promise<void> {
    const { now, hand, tally, transport, connection, bind } = this.#options;
    const ports = this.#options.ports.get(family);
    if (!ports) {
      hand({ is: "relay-failed", relay: id, why: "no-such-family" });
      return;
    }
    const kind = { transport: connection(via)?.listener.transport ?? transport, limits, handsUp };
    this.#opening.add(id);
    const bound = await bindRelayPort({
      ports,
      wish,
      now,
      isWanted: () => this.#opening.has(id),
      bind: (at) => bind(id, at),
    });
    const isWanted = this.#opening.delete(id);
    if (isWanted && bound) this.#opened(new Relay({ id, via, ...kind, tally, ...bound }));
    else if (isWanted) hand({ is: "relay-failed", relay: id, why: "exhausted" });
    else if (bound) {
      ports.release(bound.drawn);
      await bound.socket.close();
    }
  }

  #opened(relay: Relay<Socket>): void {
    this.#open.set(relay.id, relay);
    this.#options.connection(relay.via)?.gain(relay.id);
    for (const { address, port } of [relay.socket.at, relay.at]) {
      this.#places.set(address, (this.#places.get(address) ?? new Map<number, Relay<Socket>>()).set(port, relay));
    }
    this.#options.hand({ is: "relay-opened", relay: relay.id, at: relay.at });
  }

  #settle(work: Promise<void>): void {
    this.#unsettled.add(work);
    void work.finally(() => this.#unsettled.delete(work));
  }
}
