// What the requests of the TURN server share.

import type { Family, PlaneAbilities, SocketId, Transport } from "../contract.ts";
import type { Attributes } from "../stun/attributes.ts";
import type { Allocation, RelayPort } from "./allocation.ts";
import type { Allocations } from "./allocations.ts";
import type { Alternates } from "./alternates.ts";
import type { Bans } from "./bans.ts";
import type { Limits } from "./limits.ts";
import type { MobilityTickets } from "./mobility-tickets.ts";
import type { PeerConnections } from "./peer-connections.ts";
import type { PeerPolicy } from "./peer-policy.ts";
import type { Rates } from "./rates.ts";
import type { AuthenticRequest } from "./request.ts";
import type { Reservations } from "./reservations.ts";

export interface Turn {
  readonly allocations: Allocations;
  readonly alternates: Alternates;
  /** By relay port: what waits for it to be opened. */
  readonly openings: Map<SocketId, Opening>;
  readonly reservations: Reservations;
  readonly connections: PeerConnections;
  /** Undefined where no allocation may move. */
  readonly tickets: MobilityTickets | undefined;
  readonly abilities: PlaneAbilities;
  /** Attributes beside those that every server comprehends, by type: from clients on this transport. */
  readonly comprehends: (transport: Transport) => ReadonlySet<number>;
  readonly bans: Bans;
  readonly limits: Limits;
  readonly rates: Rates;
  readonly peers: PeerPolicy;
  /** Of which there are relayed addresses. */
  readonly families: readonly Family[];
  /** Whether there are TCP allocations. */
  readonly relaysTcp: boolean;
  /** Sent in answers to Allocate and Refresh, if at all. */
  readonly software: string | undefined;
  readonly newSocketId: () => SocketId;
}

/** A relay port that is being opened, and what its opening is for. */
export interface Opening {
  readonly allocation: Allocation;
  readonly request: AuthenticRequest;
  readonly family: Family;
  /** Those of the allocation that are open already and wait for this one. */
  readonly ports: readonly RelayPort[];
  /** Why a dual allocation will have one of its relayed addresses only. */
  readonly addressErrorCode?: Attributes["addressErrorCode"];
}

/** Whether the plane can take another route over a relay port. A client is refused what would come to nothing. */
export function hasRouteRoom(relay: SocketId | undefined, { abilities }: Turn): boolean {
  return relay === undefined || (abilities.hasRoom?.(relay) ?? true);
}
