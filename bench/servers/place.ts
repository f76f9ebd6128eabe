// What every server of the comparison is given alike: an address, an account, a range of ports and a folder.

import type { Endpoint } from "../../src/contract.ts";
import type { Topology } from "../topology.ts";
import type { Stage } from "./stage.ts";

/** One user, the same for all servers. */
export const account = { username: "bench", password: "bench", realm: "bench" } as const;

export const relayPorts = { first: 10_000, last: 65_535 } as const;

/** More than any benchmark asks for. */
export const allocationLimit = 70_000;

export type ClientTransport = "udp" | "tcp" | "tls";

export interface Place {
  readonly stage: Stage;
  readonly topology: Topology;
  /** What clients come by. */
  readonly transport: ClientTransport;
  /** Where to listen, and the address to relay from. */
  readonly at: Endpoint;
  /** A new folder for whatever the server writes. */
  readonly folder: string;
}
