// The servers that are compared: how each is started on an address of its own, and what it is asked with.

import type { Endpoint } from "../../src/contract.ts";
import type { Topology } from "../topology.ts";
import { startCoturn, whyNoCoturn } from "./coturn.ts";
import { startEjabberd, whyNoEjabberd } from "./ejabberd.ts";
import { startNodeTurn, whyNoNodeTurn } from "./node-turn.ts";
import type { ClientTransport, Place } from "./place.ts";
import { startSluice, whyNoSluice } from "./sluice.ts";
import type { Program, Stage } from "./stage.ts";

export type ServerName = "coturn" | "portable" | "native" | "native-2-threads" | "ejabberd" | "node-turn";

export interface Server {
  readonly name: ServerName;
  readonly at: Endpoint;
  readonly program: Program;
}

interface Kind {
  readonly transports: readonly ClientTransport[];
  start(place: Place): Program;
  /** Why it cannot be started here, if so. */
  whyNot(): string | undefined;
}

const all = ["udp", "tcp", "tls"] as const;

const kinds: Readonly<Record<ServerName, Kind>> = {
  coturn: { transports: all, start: startCoturn, whyNot: whyNoCoturn },
  portable: sluice("portable"),
  native: sluice("native"),
  ejabberd: { transports: ["udp", "tcp"], start: startEjabberd, whyNot: whyNoEjabberd },
  "node-turn": { transports: ["udp"], start: startNodeTurn, whyNot: whyNoNodeTurn },
  "native-2-threads": sluice("native", 2),
};

function sluice(plane: "portable" | "native", threads = 1): Kind {
  return {
    transports: all,
    start: (place) => startSluice(place, plane, threads),
    whyNot: () => whyNoSluice(plane),
  };
}

/** Who is compared unless others are asked for. */
export const usualServers: readonly ServerName[] = ["coturn", "portable", "native"];

export const serverNames = Object.keys(kinds) as ServerName[];

export function whyNot(name: ServerName): string | undefined {
  return kinds[name].whyNot();
}

export function canServe(name: ServerName, transport: ClientTransport): boolean {
  return kinds[name].transports.includes(transport);
}

export async function startServer(
  name: ServerName,
  stage: Stage,
  topology: Topology,
  transport: ClientTransport,
): Promise<Server> {
  const at = await topology.placeFor(serverNames.indexOf(name));
  const program = kinds[name].start({ stage, topology, transport, at, folder: stage.newFolder(name) });
  return { name, at, program };
}
