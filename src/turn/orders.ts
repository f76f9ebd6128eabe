// What the operator has done to allocations, and what he sees of them.

import type { Action, Banned, Endpoint, Millis, Order, Transport } from "../contract.ts";
import type { Allocation, RelayPort } from "./allocation.ts";
import type { Turn } from "./turn.ts";

/** An allocation that is open. Each of its relay ports names it. */
export interface AllocationView {
  readonly ports: readonly RelayPort[];
  /** As quotas count him. */
  readonly user: string;
  readonly transport: Transport;
  readonly client: Endpoint;
  readonly since: Millis;
  /** When it ends if it is not refreshed. */
  readonly until: Millis;
}

export function viewOf({ ports, user, tuple, since, until }: Allocation): AllocationView {
  return { ports, user, transport: tuple.on.transport, client: tuple.from, since, until };
}

export function obey(now: Millis, order: Order, turn: Turn): Action[] {
  const { allocations, alternates, bans } = turn;
  switch (order.order) {
    case "drain":
      alternates.drain();
      return [];
    case "close":
      return end(({ ports }) => ports.some(({ relay }) => relay === order.relay));
    case "ban":
      if (!bans.add(order.whom, order.until, now)) return [];
      return [
        ...bindingsOf(order.whom),
        ...end(({ user, tuple }) => bans.holdsUser(user, now) || bans.holdsClient(tuple.from.address, now)),
      ];
    case "lift":
      bans.lift(order.whom);
      return bindingsOf(order.whom);
    case "recheck-peers":
      return recheckPeers(now, turn);
  }

  /** Planes know no bans. */
  function bindingsOf(whom: Banned): Action[] {
    return "network" in whom ? [{ do: "hand-up-bindings", until: bans.networksUntil() }] : [];
  }

  function end(isMeant: (allocation: Allocation) => boolean): Action[] {
    return allocations.all.filter(isMeant).flatMap((allocation) => allocations.end(allocation, "ordered"));
  }
}

/** What may still be reached goes on undisturbed. */
function recheckPeers(now: Millis, { allocations, connections, peers }: Turn): Action[] {
  const rechecked = allocations.all.map((allocation) => allocation.recheck(now, peers));
  const cut = connections.all.filter(({ at }) => !peers.mayPermit(at.address, at.port));
  return [
    ...rechecked.flatMap(({ former }) => former.map((legs): Action => ({ do: "unroute", legs }))),
    ...rechecked.flatMap(({ again }) => again.map((legs): Action => ({ do: "route", legs }))),
    ...cut.map(({ peer }): Action => ({ do: "hang-up", via: peer })),
    { do: "ask-again" },
  ];
}
