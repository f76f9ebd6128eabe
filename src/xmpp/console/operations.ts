// What the console's commands see and do. The relay has it; users are named as quotas count them, XMPP's by their hash.

import type { Banned, Endpoint, Millis, Transport, Usage } from "../../contract.ts";
import type { Lines } from "../xep0004-data-forms.ts";
import type { IssuedCredential } from "../xep0215-external-services.ts";
import type { CallHistory } from "./call-histories.ts";

export interface Operations {
  /** How the relay is, as labels and values. */
  readonly status: () => Lines;
  readonly allocations: () => readonly LiveAllocation[];
  /** False where it is not there any more. */
  readonly close: (id: number) => boolean;
  /** Files on their way through the proxy. */
  readonly transfers: () => readonly LiveTransfer[];
  readonly bans: () => readonly LiveBan[];
  /** False where there are too many. */
  readonly ban: (whom: Banned, until: Millis) => boolean;
  readonly lift: (whom: Banned) => void;
  /** Takes no more allocations, and ends when those that there are have come to their end. */
  readonly drain: () => void;
  readonly credentials: (
    user: string,
    lifetimeSeconds: number,
  ) => IssuedCredential & { readonly uris: readonly string[] };
  readonly history: (user: string) => CallHistory;
  /** CIDR of an address or network as somebody types it; undefined for what is neither, and for a part of the world. */
  readonly readNetwork: (typed: string) => string | undefined;
  /** The network that an address is in, as it may be shown. */
  readonly mask: (address: string) => string;
}

export interface LiveAllocation {
  /** Names it for as long as the relay runs, and nothing after it. */
  readonly id: number;
  readonly user: string;
  readonly transport: Transport;
  readonly client: Endpoint;
  readonly relayed: readonly Endpoint[];
  readonly since: Millis;
  readonly until: Millis;
  readonly usage: Usage;
}

export interface LiveTransfer {
  /** Who had it activated. */
  readonly user: string;
  readonly since: Millis;
  readonly bytes: number;
}

export interface LiveBan {
  readonly whom: Banned;
  readonly until: Millis;
}
