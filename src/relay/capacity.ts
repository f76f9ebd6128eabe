// How many allocations this process has room for: what the quota says, unless open files or relay ports end before that.
// Node raises the limit of open files to the hard one by itself.

import { readFileSync } from "node:fs";
import type { Log } from "../admin/log.ts";
import type { Config } from "../config/config.ts";

/** For listeners, connections to servers, and whatever else is open. */
const filesForOthers = 200;

/** `files` are how many this process may have open, if that is known. An allocation has one at least. */
export function reportCapacity(
  { quota, relayPorts: [first, last] }: Pick<Config, "quota" | "relayPorts">,
  files: number | undefined,
  log: Pick<Log, "info" | "warn">,
): void {
  const bounds = {
    quota: quota.allocations,
    ports: last - first + 1,
    files: Math.max(0, (files ?? Number.POSITIVE_INFINITY) - filesForOthers),
  };
  const allocations = Math.min(...Object.values(bounds));
  log.info("room for", { allocations, files });
  if (bounds.files < bounds.quota)
    log.warn(
      `the quota has ${bounds.quota} allocations, but this process may open only ${files} files: raise its limit (LimitNOFILE)`,
    );
  if (bounds.ports < bounds.quota)
    log.warn(`the quota has ${bounds.quota} allocations, but relay-ports only ${bounds.ports} ports`);
}

/** Undefined where the system does not say. */
export function openFilesAtMost(): number | undefined {
  try {
    const [, soft] = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "latin1")) ?? [];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    return undefined;
  }
}
