// How long a NAT keeps a mapping that is not used (RFC 5780 section 4.6), tried for many times at once: it takes no
// longer than the longest of them.

import type { Endpoint } from "../contract.ts";
import { brisk, type Prober, type Sleep } from "./prober.ts";

export interface Lifetime {
  readonly atLeastSeconds: number;
  /** None: it was still there after the longest time tried. */
  readonly lessThanSeconds?: number;
}

/** Ten, for a client should begin no more transactions in a second (section 5). */
const trials: readonly number[] = [10, 20, 30, 45, 60, 90, 120, 180, 240, 300];

/** Undefined when the server does not answer to another port, or not at all. */
export async function findLifetime(prober: Prober, server: Endpoint, sleep: Sleep): Promise<Lifetime | undefined> {
  const kept = await Promise.all(trials.map((seconds) => isKept(prober, server, () => sleep(seconds * 1000))));
  if (kept.includes(undefined)) return undefined;
  const lost = kept.indexOf(false);
  if (lost < 0) return { atLeastSeconds: trials.at(-1) ?? 0 };
  return { atLeastSeconds: trials[lost - 1] ?? 0, lessThanSeconds: trials[lost] ?? 0 };
}

/** Whether the mapping of one port still stands after a pause: another port asks the server to answer to it. */
async function isKept(prober: Prober, server: Endpoint, pause: () => Promise<unknown>): Promise<boolean | undefined> {
  const [port, asking] = [await prober.open(), await prober.open()];
  const mapped = (await prober.ask(port, server))?.mapped;
  if (!mapped) return undefined;
  await pause();
  const echo = await prober.ask(asking, server, { responsePort: mapped.port }, brisk);
  return echo?.class === "error" ? undefined : echo?.at === port;
}
