// Media of clients that come over TCP and TLS, while their peers are on UDP.

import { Contest } from "./contest.ts";
import { type Case, forwardingRow, video } from "./forwarding.ts";
import type { Plan } from "./plan.ts";
import { conditionsOf, type Report, type Row } from "./report.ts";

/**
 * One after another, as conversations are; and frames of video, which leave and arrive together. Of what is under way, one
 * of ten clients can have to wait for all: not more than coturn holds back for one, 32 KiB, for it drops the rest.
 */
const loads = [
  { ...video, burst: 1, underway: 24, clients: 10 },
  { ...video, burst: 1, clients: 100 },
  { ...video, clients: 100 },
] as const;

const cases: readonly Case[] = loads.flatMap((load) =>
  (["to-peer", "to-client"] as const).map((direction) => ({ ...load, direction })),
);

export async function streams(plan: Plan): Promise<Report> {
  const rows: Row[] = [];
  for (const transport of ["tcp", "tls"] as const) {
    const contest = await Contest.open(plan, plan.servers, transport);
    for (const each of cases) {
      const { name, cells } = await forwardingRow(contest, each, plan);
      rows.push({ name: `${transport.toUpperCase()}: ${name}`, cells });
    }
    await contest.close();
  }
  return { benchmark: "streams", unit: "CPU µs per packet", conditions: conditionsOf(plan), baseline: "coturn", rows };
}
