// Allocate: a relayed transport address (RFC 8656 section 7.2). The answer comes when a plane has opened the port.

import type { Action, Endpoint, Millis } from "../../contract.ts";
import { Allocation } from "../allocation.ts";
import { desiredLifetime } from "../lifetime.ts";
import { type AuthenticRequest, type Outcome, refuse, transactionOf } from "../request.ts";
import type { Opening, Turn } from "../turn.ts";

/** IP protocol number. */
const udp = 17;

export function allocate(request: AuthenticRequest, turn: Turn): Outcome {
  const { now, message, tuple, identity } = request;
  const { requestedTransport, requestedAddressFamily = 4, lifetime } = message.attributes;
  const transaction = transactionOf(message);

  // Step 2; the last note of the section is about retransmissions.
  const existing = turn.allocations.find(tuple);
  if (existing && existing.transaction !== transaction) return refuse(437);
  if (existing) return existing.answer ? { replayed: existing.answer } : { postponed: [] };

  // Step 3.
  if (requestedTransport === undefined) return refuse(400);
  if (requestedTransport !== udp) return refuse(442);

  // Steps 4 to 6, 8 and 9 are about attributes that we do not comprehend. Step 7.
  const family = turn.families.find((family) => family === requestedAddressFamily);
  if (family === undefined) return refuse(440);

  // Step 10.
  const refusal = turn.allocations.refusalOfOneMore(identity.credential.user, tuple);
  if (refusal) return refusal;

  const relay = turn.newSocketId();
  const allocation = new Allocation({ tuple, relay, family, identity, transaction });
  allocation.prolong(now, desiredLifetime(lifetime));
  turn.allocations.add(allocation);
  turn.openings.set(relay, { allocation, request });
  return { postponed: [{ do: "open-relay", relay, family, via: tuple.via, client: tuple.from }] };
}

/** The answer, now that the port is open. The lifetime begins here. */
export function allocated(now: Millis, { allocation, request }: Opening, relayed: Endpoint, turn: Turn): Outcome {
  const { tuple, relay, user } = allocation;
  allocation.relayed = relayed;
  const lifetime = allocation.prolong(now, desiredLifetime(request.message.attributes.lifetime));
  turn.allocations.file(allocation);
  const opened: Action = {
    do: "report",
    fact: {
      fact: "allocation-opened",
      relay,
      user,
      transport: tuple.on.transport,
      client: tuple.from,
      relayed,
    },
  };
  return {
    granted: { xorRelayedAddress: [relayed], lifetime, xorMappedAddress: tuple.from, software: turn.software },
    actions: [opened],
    keep: (answer) => {
      allocation.answer = answer;
    },
  };
}
