// What a TURN server is to be told, and what its requests share when it begins.

import type { Family, PlaneAbilities, SocketId } from "../contract.ts";
import type { AccessTokensOptions } from "./access-tokens.ts";
import { Allocations } from "./allocations.ts";
import { Alternates, type AlternatesOptions, noAlternates } from "./alternates.ts";
import { Bans } from "./bans.ts";
import type { Authenticate, MustAsk, UsernameOf } from "./credentials.ts";
import type { Limits } from "./limits.ts";
import { MobilityTickets } from "./mobility-tickets.ts";
import { PeerConnections } from "./peer-connections.ts";
import type { PeerPolicy } from "./peer-policy.ts";
import type { Rates } from "./rates.ts";
import type { ReplyRate } from "./reply-budget.ts";
import type { Square } from "./requests/nat-discovery.ts";
import { Reservations } from "./reservations.ts";
import type { Turn } from "./turn.ts";
import { furtherTypes } from "./unknown-attributes.ts";

export interface TurnOptions {
  /** Up to 16 bytes keep a 401 within 2.5 times the smallest Allocate request. */
  readonly realm: string;
  /** Sent in answers to Allocate and Refresh, if at all. */
  readonly software?: string | undefined;
  readonly authenticate: Authenticate;
  /** To be given only where it finds every name: clients are told then to send hashes (RFC 8489 section 14.4). */
  readonly usernameOf?: UsernameOf | undefined;
  /** Where nobody is to be asked, left out. Asked about is by the action `ask`. */
  readonly mustAsk?: MustAsk | undefined;
  readonly peers: PeerPolicy;
  /** Of which there are relayed addresses. */
  readonly families: readonly Family[];
  readonly limits: Limits;
  /** None if not said. */
  readonly rates?: Rates;
  /** 16 random bytes or more. Whoever has them can make nonces, but no credentials. */
  readonly nonceSecret: Uint8Array;
  readonly nonceLifetimeSeconds?: number;
  /** False for STUN without TURN. True if not said. */
  readonly relays?: boolean;
  /** None if not said. */
  readonly alternates?: AlternatesOptions;
  /** Whether there are TCP allocations (RFC 6062). False if not said. */
  readonly relaysTcp?: boolean;
  /** Who may come with tokens that others have given out (RFC 7635). Nobody if not said. */
  readonly accessTokens?: AccessTokensOptions | undefined;
  /** Whether clients may take their allocations elsewhere (RFC 8016). Not if not said. */
  readonly mobility?: boolean;
  /** Of the plane that carries out what we decide; nothing, if not said. */
  readonly abilities?: PlaneAbilities;
  /** What strangers can make us send to one network. */
  readonly replyRate?: ReplyRate;
  readonly newSocketId: () => SocketId;
  /** UDP listeners at which clients may find out how their NAT behaves (RFC 5780): for each family, four or none. */
  readonly squares?: readonly Square[];
}

const noAbilities: PlaneAbilities = {
  movesAmong: [
    ["udp", "dtls"],
    ["tcp", "tls"],
  ],
  dontFragment: [],
};

/** Of a server that has just begun. */
export function turnOf(options: TurnOptions): Turn {
  const { limits, rates = {}, peers, families, software, newSocketId, nonceSecret, accessTokens } = options;
  const { relaysTcp = false, mobility = false, alternates = noAlternates, abilities = noAbilities } = options;
  return {
    allocations: new Allocations(limits),
    alternates: new Alternates(alternates, nonceSecret),
    openings: new Map(),
    reservations: new Reservations(nonceSecret),
    connections: new PeerConnections(limits, nonceSecret),
    tickets: mobility ? new MobilityTickets(nonceSecret) : undefined,
    abilities,
    comprehends: furtherTypes({ accessToken: accessTokens !== undefined, dontFragment: abilities.dontFragment }),
    bans: new Bans(),
    limits,
    rates,
    peers,
    families,
    relaysTcp,
    software,
    newSocketId,
  };
}
