// How an allocation goes to where its client has gone: first what comes from there is taken, too, and with the first
// message from there everything is (RFC 8016 section 3.2.2).

import type { Action, Fact, Millis, SocketId } from "../contract.ts";
import type { Allocation } from "./allocation.ts";
import type { Allocations } from "./allocations.ts";
import type { FiveTuple } from "./request.ts";
import { expectation, type Roaming } from "./roaming.ts";

/** A client whose connection has ended has this long to come back. Phones need some seconds from one network to another. */
const absenceMillis = 60_000;

/** Its client has shown ticket `issue` there. Returns the issue of its next ticket, and what is to be done. */
export function expectAt(
  to: FiveTuple,
  shown: number,
  of: { now: Millis; allocation: Allocation; roaming: Roaming; allocations: Allocations },
): { issue: number; actions: Action[] } {
  const { now, allocation, roaming, allocations } = of;
  const overtaken = unexpect(allocation, allocations);
  const issue = roaming.expect(to, shown);
  allocations.expect(allocation, to);
  const assignments = allocation.ports.map(({ relay }): Action => ({ do: "assign-relay", relay, via: to.via }));
  const arrival = allocation.hasClient ? [expectation(to, allocation.until)] : settle(allocation, to, now, allocations);
  return { issue, actions: [...overtaken, ...assignments, ...arrival] };
}

/** Something other than a ticket has come from there: if its client was expected there, it is there now. */
export function settle(allocation: Allocation, at: FiveTuple, now: Millis, allocations: Allocations): Action[] {
  const { roaming } = allocation;
  if (!roaming || roaming.next?.key !== at.key) return [];
  const expected = unexpect(allocation, allocations);
  roaming.arrive();
  if (allocation.hasClient && allocation.tuple.key === at.key) return expected;
  allocations.move(allocation, at);
  const { routes, former } = allocation.moveTo(at, now);
  const { user, ports } = allocation;
  const facts = ports.map(({ relay }): Fact => {
    return { fact: "allocation-moved", relay, user, transport: at.on.transport, client: at.from };
  });
  return [
    ...expected,
    ...routes.map((legs): Action => ({ do: "route", legs })),
    ...former.map((legs): Action => ({ do: "unroute", legs })),
    ...facts.map((fact): Action => ({ do: "report", fact })),
  ];
}

/** A connection has ended: what a client has that may come back stays for a while. */
export function hungUp(via: SocketId, now: Millis, allocations: Allocations): Action[] {
  const allocation = allocations.findByConnection(via);
  if (!allocation) return [];
  const { roaming, tuple } = allocation;
  if (!roaming) return allocations.end(allocation, "hung-up");
  if (tuple.via !== via) {
    const expected = unexpect(allocation, allocations);
    roaming.giveUp();
    return expected;
  }
  if (roaming.next && roaming.next.via !== via) return settle(allocation, roaming.next, now, allocations);
  allocation.leave(now + absenceMillis);
  allocations.file(allocation);
  return [];
}

/** No longer where it was expected last, if it was. */
function unexpect({ roaming }: Allocation, allocations: Allocations): Action[] {
  if (!roaming?.next) return [];
  allocations.unexpect(roaming.next);
  return [expectation(roaming.next, 0)];
}
