// Where load and servers meet: on loopback, or as two machines (network namespaces) joined by a cable (a veth pair).

import { createSocket } from "node:dgram";
import { availableParallelism } from "node:os";
import type { Endpoint } from "../src/contract.ts";

export const topologyNames = ["loopback", "veth"] as const;
export type TopologyName = (typeof topologyNames)[number];

export interface Topology {
  readonly name: TopologyName;
  /** Prefixes of commands: the server on the last core, the load on the first. */
  readonly asServer: readonly string[];
  /** The server on as many cores as it likes. */
  readonly asSpreadServer: readonly string[];
  readonly asLoad: readonly string[];
  readonly firstClient: string;
  readonly firstPeer: string;
  /** Clients and peers, as networks that a relay must be allowed to reach. */
  readonly networks: readonly string[];
  /** Kernel threads that work for the server and are counted with it. */
  readonly kernelThreads: readonly number[];
  placeFor(index: number): Promise<Endpoint>;
}

const cores = availableParallelism();

/** Empty where there is one core only. */
export function pinnedTo(which: "first" | "last"): readonly string[] {
  return cores > 1 ? ["taskset", "-c", which === "first" ? "0" : String(cores - 1)] : [];
}

/** Servers have 127.3.0.1 and up for themselves, so that they meet nobody else's ports. */
export const loopback: Topology = {
  name: "loopback",
  asServer: pinnedTo("last"),
  asSpreadServer: [],
  asLoad: pinnedTo("first"),
  firstClient: "127.1.0.1",
  firstPeer: "127.2.0.1",
  networks: ["127.1.0.0/16", "127.2.0.0/16", "127.3.0.0/16"],
  kernelThreads: [],
  placeFor: async (index) => freePort(`127.3.0.${index + 1}`),
};

async function freePort(address: string): Promise<Endpoint> {
  const socket = createSocket("udp4");
  await new Promise<void>((resolve, reject) => {
    socket.once("error", reject);
    socket.bind(0, address, resolve);
  });
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(resolve));
  return { address, port };
}
