// XEP-0082: points in time.

import type { Millis } from "../contract.ts";

/** UTC, in whole seconds: some clients do not read fractions. */
export function dateTime(at: Millis): string {
  return `${new Date(at).toISOString().slice(0, 19)}Z`;
}
