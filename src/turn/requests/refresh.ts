// Refresh: a longer life for an allocation, or its end (RFC 8656 section 8.2). Of a dual allocation, for one relayed
// address or for both (section 8.1).

import type { Family } from "../../contract.ts";
import type { Allocation } from "../allocation.ts";
import { desiredLifetime } from "../lifetime.ts";
import { type AuthenticRequest, grant, type Outcome, refuse, transactionOf } from "../request.ts";
import type { Turn } from "../turn.ts";

export function refresh(request: AuthenticRequest, allocation: Allocation, turn: Turn): Outcome {
  const { now, message } = request;
  const { requestedAddressFamily, lifetime } = message.attributes;

  const all = allocation.families;
  const families = requestedAddressFamily === undefined ? all : all.filter((each) => each === requestedAddressFamily);
  if (families.length === 0) return refuse(443);
  if (lifetime === 0) return remove(request, allocation, families, turn);

  allocation.recognize(request.identity);
  const remaining = allocation.prolong(families, now, desiredLifetime(lifetime));
  turn.allocations.file(allocation);
  const routes = allocation.routes(now).map((legs) => ({ do: "route", legs }) as const);
  return grant({ lifetime: remaining, software: turn.software }, routes);
}

function remove(
  { message, tuple }: AuthenticRequest,
  allocation: Allocation,
  families: readonly Family[],
  turn: Turn,
): Outcome {
  return {
    granted: { lifetime: 0, software: turn.software },
    actions: turn.allocations.endPart(allocation, families, "deleted"),
    keep: (answer) => turn.allocations.bidFarewell(tuple, transactionOf(message), answer),
  };
}
