// Listeners for datagrams of the native plane: each has a socket in every thread, and a ring for what that hands up.

import { getSystemErrorName } from "node:util";
import { type Endpoint, type Listener, type PlaneOptions, type SocketId, Unavailable } from "../contract.ts";
import { canonicalAddress } from "./endpoint.ts";
import { type Engine, maxListeners } from "./native-addon.ts";
import { type HandedUp, type UpRing, upRings } from "./native-rings.ts";

export interface OwnListener {
  readonly listener: Listener;
  /** As the engine numbers sockets. */
  readonly index: number;
}

export class NativeListeners {
  readonly #engine: Engine;
  readonly #options: Pick<PlaneOptions, "newSocketId">;
  readonly #threads: number;
  readonly #byId = new Map<SocketId, OwnListener & { readonly rings: readonly UpRing[] }>();

  constructor(engine: Engine, options: Pick<PlaneOptions, "newSocketId">, threads: number) {
    this.#engine = engine;
    this.#options = options;
    this.#threads = threads;
  }

  /** Throws `Unavailable`. The caller has the engine flushed. */
  listen(transport: "udp" | "dtls", { address, port: wish }: Endpoint): Listener {
    const index = this.#byId.size;
    if (index === maxListeners) throw new Unavailable(`no more than ${maxListeners} listeners`);
    const rings = upRings(this.#engine, this.#threads, index);
    const port = this.#engine.listen(index, address, wish, transport === "dtls");
    if (port < 0) {
      const cause = Object.assign(new Error(`bind ${getSystemErrorName(port)}`), { code: getSystemErrorName(port) });
      throw new Unavailable(`cannot listen on ${transport} ${address} port ${wish}`, { cause });
    }
    const socket = this.#options.newSocketId();
    const listener: Listener = { socket, transport, at: { address: canonicalAddress(address), port } };
    this.#byId.set(socket, { listener, index, rings });
    return listener;
  }

  find(id: SocketId): OwnListener | undefined {
    return this.#byId.get(id);
  }

  drain(take: (on: OwnListener, handedUp: HandedUp) => void): void {
    for (const on of this.#byId.values()) {
      for (const ring of on.rings) ring.drain((handedUp) => take(on, handedUp));
    }
  }
}
