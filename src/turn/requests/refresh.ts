// Refresh: a longer life for an allocation, or its end (RFC 8656 section 8.2).

import type { Allocation } from "../allocation.ts";
import { desiredLifetime } from "../lifetime.ts";
import { type AuthenticRequest, grant, type Outcome, refuse, transactionOf } from "../request.ts";
import type { Turn } from "../turn.ts";

export function refresh(request: AuthenticRequest, allocation: Allocation, turn: Turn): Outcome {
  const { now, message } = request;
  const { requestedAddressFamily: family, lifetime } = message.attributes;

  if (family !== undefined && family !== allocation.family) return refuse(443);
  if (lifetime === 0) return remove(request, allocation, turn);

  const remaining = allocation.prolong(now, desiredLifetime(lifetime));
  turn.allocations.file(allocation);
  const routes = allocation.routes(now).map((legs) => ({ do: "route", legs }) as const);
  return grant({ lifetime: remaining, software: turn.software }, routes);
}

function remove({ message, tuple }: AuthenticRequest, allocation: Allocation, turn: Turn): Outcome {
  return {
    granted: { lifetime: 0, software: turn.software },
    actions: turn.allocations.end(allocation, "deleted"),
    keep: (answer) => turn.allocations.bidFarewell(tuple, { transaction: transactionOf(message), answer }),
  };
}
