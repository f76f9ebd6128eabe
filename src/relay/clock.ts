// The relay's one clock.

import type { Millis } from "../contract.ts";

/** Unix time when the process started, advanced monotonically: nobody who sets the clock can move a deadline. */
export function now(): Millis {
  return performance.timeOrigin + performance.now();
}
