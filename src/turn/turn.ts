// What the requests of the TURN server share.

import type { Family, PlaneAbilities, SocketId, Transport } from "../contract.ts";
import type { Allocations } from "./allocations.ts";
import type { Alternates } from "./alternates.ts";
import type { Bans } from "./bans.ts";
import type { Limits } from "./limits.ts";
import type { MobilityTickets } from "./mobility-tickets.ts";
import type { Opening } from "./opening.ts";
import type { PeerConnections } from "./peer-connections.ts";
import type { PeerPolicy } from "./peer-policy.ts";
import type { Rates } from "./rates.ts";
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

/** Whether the plane can take another route over a relay port. A client is refused what would come to nothing. */
export function hasRouteRoom(relay: SocketId | undefined, { abilities }: Turn): boolean {
  return relay === undefined || (abilities.hasRoom?.(relay) ?? true);
}
