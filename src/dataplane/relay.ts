// One open relay port, of UDP or TCP: its socket, the address peers know it by, and what it has carried.

import { type Endpoint, familyOf, type SocketId, type TrafficLimit, type Transport, type Usage } from "../contract.ts";
import { canonicalAddress } from "./endpoint.ts";
import type { RelayPort } from "./relay-ports.ts";
import { Meter, type Tally } from "./tally.ts";

/** A bound socket of whichever kind. */
export interface RelaySocket {
  readonly at: Endpoint;
  close(): Promise<void>;
}

export interface RelayOptions<Socket extends RelaySocket> {
  readonly id: SocketId;
  /** By what its client comes. */
  readonly via: SocketId;
  readonly drawn: RelayPort;
  readonly socket: Socket;
  /** The transport of the client it is for. */
  readonly transport: Transport;
  readonly limits: readonly TrafficLimit[];
  readonly handsUp?: boolean;
  readonly tally: Tally;
}

export class Relay<Socket extends RelaySocket> {
  readonly id: SocketId;
  via: SocketId;
  readonly drawn: RelayPort;
  readonly socket: Socket;
  /** As peers see it: behind a NAT, the external address. */
  readonly at: Endpoint;
  readonly limits: readonly TrafficLimit[];
  readonly handsUp: boolean;
  readonly #used = { "to-peer": new Meter(), "to-client": new Meter() };
  readonly #totals: { readonly "to-peer": Meter; readonly "to-client": Meter };

  constructor({ id, via, drawn, socket, transport, limits, handsUp = false, tally }: RelayOptions<Socket>) {
    this.id = id;
    this.via = via;
    this.drawn = drawn;
    this.socket = socket;
    this.limits = limits;
    this.handsUp = handsUp;
    const { bind, external = bind } = drawn.address;
    this.at = { address: canonicalAddress(external), port: socket.at.port };
    const family = familyOf(bind);
    this.#totals = {
      "to-peer": tally.meter(transport, family, "to-peer"),
      "to-client": tally.meter(transport, family, "to-client"),
    };
  }

  get usage(): Usage {
    const { "to-peer": toPeer, "to-client": toClient } = this.#used;
    return { toPeer: { ...toPeer }, toClient: { ...toClient } };
  }

  count(direction: "to-peer" | "to-client", bytes: number, packets = 1): void {
    this.#used[direction].add(bytes, packets);
    this.#totals[direction].add(bytes, packets);
  }
}
