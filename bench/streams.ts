// Media of clients that come over TCP, while their peers are on UDP.

import { Contest } from "./contest.ts";
import { forwardingRow, video } from "./forwarding.ts";
import type { Plan } from "./plan.ts";
import { conditionsOf, type Report, type Row } from "./report.ts";

export async function streams(plan: Plan): Promise<Report> {
  const contest = await Contest.open(plan, plan.servers, "tcp");
  const rows: Row[] = [];
  for (const direction of ["to-peer", "to-client"] as const) {
    rows.push(await forwardingRow(contest, { ...video, burst: 1, clients: 100, direction }, plan));
  }
  await contest.close();
  const conditions = `clients over TCP, ${conditionsOf(plan)}`;
  return { benchmark: "streams", unit: "CPU µs per packet", conditions, baseline: "coturn", rows };
}
