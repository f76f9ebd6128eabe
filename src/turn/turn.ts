// What the requests of the TURN server share.

import type { Endpoint, Family, SocketId } from "../contract.ts";
import type { Allocation } from "./allocation.ts";
import type { Allocations } from "./allocations.ts";
import type { Limits } from "./limits.ts";
import type { PeerPolicy } from "./peer-policy.ts";
import type { AuthenticRequest } from "./request.ts";
import type { Reservations } from "./reservations.ts";

export interface Turn {
  readonly allocations: Allocations;
  /** By relay port: what waits for it to be opened. */
  readonly openings: Map<SocketId, Opening>;
  readonly reservations: Reservations;
  readonly limits: Limits;
  readonly peers: PeerPolicy;
  /** Of which there are relayed addresses. */
  readonly families: readonly Family[];
  /** Sent in answers to Allocate and Refresh, if at all. */
  readonly software: string | undefined;
  readonly newSocketId: () => SocketId;
}

export interface Opening {
  readonly allocation: Allocation;
  readonly request: AuthenticRequest;
  /** The allocation's port, if that is open already and waits for the one above it. */
  readonly relayed?: Endpoint;
}
