// How long one call of a function takes.

import { type Spread, spreadOf } from "./report.ts";

/** Nanoseconds a call, over several rounds of about `roundSeconds` each. What comes before them warms up. */
export function nanosecondsPerCall(call: () => unknown, rounds: number, roundSeconds: number): Spread {
  const calls = callsIn(roundSeconds, call);
  return spreadOf(Array.from({ length: rounds }, () => (timeOf(call, calls).seconds / calls) * 1e9));
}

function callsIn(roundSeconds: number, call: () => unknown): number {
  for (let calls = 1; ; calls *= 2) {
    const { seconds } = timeOf(call, calls);
    if (seconds > roundSeconds / 2) return Math.ceil((calls * roundSeconds) / seconds);
  }
}

/** Hands out what the last call returned, so that no call can be optimized away. */
function timeOf(call: () => unknown, calls: number): { seconds: number; last: unknown } {
  let last: unknown;
  const begun = performance.now();
  for (let i = 0; i < calls; i++) last = call();
  return { seconds: (performance.now() - begun) / 1000, last };
}
