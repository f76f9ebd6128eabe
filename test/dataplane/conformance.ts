// What every plane has to do, seen from outside: real sockets on loopback, the plane only through its contract.

import { describe } from "vitest";
import { describeJoins } from "./conformance/joins.ts";
import { describeLimits } from "./conformance/limits.ts";
import { describeRelayPorts } from "./conformance/relay-ports.ts";
import { describeRouteEnds } from "./conformance/route-ends.ts";
import { describeRouting } from "./conformance/routing.ts";
import { describeSending } from "./conformance/sending.ts";
import { describeStrays } from "./conformance/strays.ts";
import { describeStreams } from "./conformance/streams.ts";
import { describeTcpRelays } from "./conformance/tcp-relays.ts";
import type { Make } from "./rig.ts";

/** `joinsOver`: what it joins clients by that are on it as on TCP. Node cannot break off what is within TLS. */
export function describePlane(name: string, make: Make, joinsOver: readonly ("tcp" | "tls")[] = ["tcp"]): void {
  describe(name, () => {
    describeRouting(make);
    describeRouteEnds(make);
    describeSending(make);
    describeRelayPorts(make);
    describeLimits(make);
    describeStreams(make);
    describeStrays(make);
    describeTcpRelays(make, joinsOver);
    describeJoins(make);
  });
}
