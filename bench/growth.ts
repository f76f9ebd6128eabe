// How the cost of a packet grows with the number of clients that talk at once.

import { Contest } from "./contest.ts";
import { audio, forwardingRow } from "./forwarding.ts";
import type { Plan } from "./plan.ts";
import { conditionsOf, type Report, type Row } from "./report.ts";

const clientCounts = [1, 10, 100, 1000, 10_000];

export async function growth(plan: Plan): Promise<Report> {
  const contest = await Contest.open(plan);
  const rows: Row[] = [];
  for (const clients of clientCounts) {
    rows.push(await forwardingRow(contest, { ...audio, clients, direction: "echo" }, plan));
  }
  await contest.close();
  return { benchmark: "growth", unit: "CPU µs per packet", conditions: conditionsOf(plan), baseline: "coturn", rows };
}
