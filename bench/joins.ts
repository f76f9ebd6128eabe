// Byte streams between clients and peers on TCP (RFC 6062): what the server spends on a megabyte of them.

import { Contest, type Contestant } from "./contest.ts";
import { type Transfer, type TransferOptions, Transfers } from "./load/transfer.ts";
import type { Plan } from "./plan.ts";
import { type Cell, conditionsOf, type Report, type Row, spreadOf } from "./report.ts";
import type { ServerName } from "./servers/server.ts";

/** Those that have TCP allocations. */
const joining: readonly ServerName[] = ["coturn", "portable", "native", "native-2-threads"];
const pairCounts = [1, 10];
const directions = ["to-peer", "to-client"] as const;
const megabyte = 1024 * 1024;

export async function joins(plan: Plan): Promise<Report> {
  const contest = await Contest.open(
    plan,
    plan.servers.filter((name) => joining.includes(name)),
    "tcp",
  );
  const rows: Row[] = [];
  for (const pairs of pairCounts) rows.push(...(await rowsOf(contest, pairs, plan)));
  await contest.close();
  return { benchmark: "joins", unit: "CPU µs per MB", conditions: conditionsOf(plan), baseline: "coturn", rows };
}

async function rowsOf(contest: Contest, pairs: number, plan: Plan): Promise<Row[]> {
  const open = new Map<Contestant, Transfers>();
  for (const contestant of contest.contestants) {
    open.set(contestant, await Transfers.open(plan.stage, plan.topology, contestant.server, pairs));
  }
  const run = async (contestant: Contestant, options: TransferOptions) => {
    const transfers = open.get(contestant);
    if (!transfers) throw new Error("not open");
    return transfers.run(options);
  };
  const rows: Row[] = [];
  for (const direction of directions) {
    const name = `${pairs === 1 ? "1 stream" : `${pairs} streams`}, ${direction}`;
    const results = await contest.inTurn(name, (contestant) => run(contestant, { direction, seconds: plan.seconds }));
    rows.push({ name, cells: [...results].map(([subject, runs]) => cellOf(subject, runs)) });
  }
  for (const transfers of open.values()) await transfers.stop();
  return rows;
}

function cellOf(subject: string, runs: readonly Transfer[]): Cell {
  const corrupt = runs.reduce((sum, run) => sum + run.corrupt, 0);
  return {
    subject,
    value: spreadOf(runs.map(({ cpuSeconds, bytes }) => (cpuSeconds / bytes) * megabyte * 1e6)),
    flaw: corrupt > 0 ? `${corrupt} bytes corrupt` : "",
    beside: {
      megabytesPerSecond: spreadOf(runs.map(({ bytes, seconds }) => bytes / megabyte / seconds)),
      coreShare: spreadOf(runs.map(({ cpuSeconds, seconds }) => cpuSeconds / seconds)),
    },
  };
}
