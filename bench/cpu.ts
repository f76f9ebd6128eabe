// What the scheduler has charged a process for, all of its threads together.

import { readdirSync, readFileSync } from "node:fs";

export function cpuSecondsOf(pid: number): number {
  const tasks = `/proc/${pid}/task`;
  const nanoseconds = readdirSync(tasks).map((id) =>
    Number.parseInt(readFileSync(`${tasks}/${id}/schedstat`, "utf8"), 10),
  );
  return nanoseconds.reduce((sum, each) => sum + each, 0) / 1e9;
}
