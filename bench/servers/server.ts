// The servers that are compared: how each is started on an address of its own, and what it is asked with.

import type { Endpoint } from "../../src/contract.ts";
import type { Topology } from "../topology.ts";
import { startCoturn, whyNoCoturn } from "./coturn.ts";
import { startEjabberd, whyNoEjabberd } from "./ejabberd.ts";
import { startNodeTurn, whyNoNodeTurn } from "./node-turn.ts";
import type { Place } from "./place.ts";
import { startSluice, whyNoSluice } from "./sluice.ts";
import type { Program, Stage } from "./stage.ts";

export type ServerName = "coturn" | "portable" | "native" | "native-2-threads" | "ejabberd" | "node-turn";

export interface Server {
  readonly name: ServerName;
  readonly at: Endpoint;
  readonly program: Program;
}

interface Kind {
  start(place: Place): Program;
  /** Why it cannot be started here, if so. */
  whyNot(): string | undefined;
}

const kinds: Readonly<Record<ServerName, Kind>> = {
  coturn: { start: startCoturn, whyNot: whyNoCoturn },
  portable: { start: (place) => startSluice(place, "portable"), whyNot: () => whyNoSluice("portable") },
  native: { start: (place) => startSluice(place, "native"), whyNot: () => whyNoSluice("native") },
  ejabberd: { start: startEjabberd, whyNot: whyNoEjabberd },
  "node-turn": { start: startNodeTurn, whyNot: whyNoNodeTurn },
  "native-2-threads": { start: (place) => startSluice(place, "native", 2), whyNot: () => whyNoSluice("native") },
};

/** Who is compared unless others are asked for. */
export const usualServers: readonly ServerName[] = ["coturn", "portable", "native"];

export const serverNames = Object.keys(kinds) as ServerName[];

export function whyNot(name: ServerName): string | undefined {
  return kinds[name].whyNot();
}

export async function startServer(name: ServerName, stage: Stage, topology: Topology): Promise<Server> {
  const at = await topology.placeFor(serverNames.indexOf(name));
  const program = kinds[name].start({ stage, topology, at, folder: stage.newFolder(name) });
  return { name, at, program };
}
