// How long and how often to measure, and with whom: what the command line of the suite decides.

import type { ServerName } from "./servers/server.ts";
import type { Stage } from "./servers/stage.ts";
import type { Topology } from "./topology.ts";

export interface Plan {
  /** Of one measured run. */
  readonly seconds: number;
  /** Runs of each server in each case, taken in turn with those of the others. */
  readonly repeats: number;
  /** Numbers of clients, ascending. */
  readonly clients: readonly number[];
  readonly servers: readonly ServerName[];
  readonly topology: Topology;
  /** Packets a second where that is fixed, ascending. */
  readonly rates: readonly number[];
  /** Idle allocations whose memory is weighed. */
  readonly allocations: number;
  readonly stage: Stage;
  /** Says how far it is. */
  readonly say: (progress: string) => void;
}
