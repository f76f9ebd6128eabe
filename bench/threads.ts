// What a second thread of the native plane costs a packet, and whether the two share the load. On a machine of two cores
// one of them is the load generator's as well, so packets per second say nothing here.

import { readdirSync, readFileSync } from "node:fs";
import { Contest, type Contestant } from "./contest.ts";
import { audio, type Case, forwardingCell } from "./forwarding.ts";
import type { ForwardResult } from "./load/generator.ts";
import type { Plan } from "./plan.ts";
import { type Cell, conditionsOf, type Report, type Row, spreadOf } from "./report.ts";

const clients = 1000;
const directions = ["to-peer", "to-client", "echo"] as const;
/** What the native plane calls its threads. */
const threadName = "sluice-plane";

interface Run extends ForwardResult {
  /** Of what all threads of the plane spent, the part of the busiest, 0 to 1. */
  readonly busiestShare: number;
}

export async function threads(plan: Plan): Promise<Report> {
  const contest = await Contest.open(plan, ["native", "native-2-threads"]);
  const rows: Row[] = [];
  for (const direction of directions) rows.push(...(await rowsOf({ ...audio, clients, direction }, contest, plan)));
  await contest.close();
  return { benchmark: "threads", unit: "CPU µs per packet", conditions: conditionsOf(plan), baseline: "native", rows };
}

async function rowsOf(each: Case, contest: Contest, plan: Plan): Promise<readonly Row[]> {
  const name = `172 B, ${clients} clients, ${each.direction}`;
  const results = await contest.inTurn(name, (contestant) => runOf(contestant, each, plan.seconds));
  const shares = [...results].map(
    ([subject, runs]): Cell => ({ subject, value: spreadOf(runs.map(({ busiestShare }) => busiestShare)) }),
  );
  return [
    { name, cells: [...results].map(([subject, runs]) => forwardingCell(subject, runs)) },
    { name: `${name}: the busiest thread's share`, cells: shares },
  ];
}

async function runOf({ server, load }: Contestant, each: Case, seconds: number): Promise<Run> {
  await load.allocate(each.clients);
  const before = spentByThread(server.program.pid);
  const result = await load.forward({ ...each, seconds });
  const spent = [...spentByThread(server.program.pid)].map(([thread, after]) => after - (before.get(thread) ?? 0));
  return { ...result, busiestShare: Math.max(...spent) / spent.reduce((sum, each) => sum + each, 0) };
}

/** Nanoseconds of CPU of each thread of the plane, by its id. */
function spentByThread(pid: number): Map<string, number> {
  const tasks = `/proc/${pid}/task`;
  const ofPlane = readdirSync(tasks).filter((id) => readFileSync(`${tasks}/${id}/comm`, "utf8").trim() === threadName);
  return new Map(ofPlane.map((id) => [id, Number.parseInt(readFileSync(`${tasks}/${id}/schedstat`, "utf8"), 10)]));
}
