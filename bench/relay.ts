// Media through the relay: CPU of the server a forwarded packet, as a ratio to coturn's in the same run.

import { Contest } from "./contest.ts";
import type { ForwardOptions, ForwardResult } from "./load/generator.ts";
import type { Plan } from "./plan.ts";
import { type Cell, type Report, type Row, spreadOf } from "./report.ts";

type Case = Omit<ForwardOptions, "seconds">;

const audio: Omit<Case, "clients" | "direction"> = { framing: "channel", size: 172, burst: 1, underway: 64, rate: 0 };
const video = { ...audio, size: 1200, burst: 8, underway: 256 };
const threeWays = ["to-peer", "to-client", "echo"] as const;
const severalClients = 100;

/** Ascending in clients, for allocations are only added. */
export function casesFor(clientCounts: readonly number[]): Case[] {
  return [...clientCounts]
    .sort((a, b) => a - b)
    .flatMap((clients) => [
      ...threeWays.map((direction) => ({ ...audio, clients, direction })),
      ...(clients === severalClients ? casesForSeveral : []),
    ]);
}

const casesForSeveral: readonly Case[] = [
  { ...video, clients: severalClients, direction: "to-peer" },
  { ...video, clients: severalClients, direction: "to-client" },
  { ...audio, clients: severalClients, direction: "to-peer", framing: "indication" },
  { ...audio, clients: severalClients, direction: "to-client", framing: "indication" },
  { ...audio, clients: severalClients, direction: "relay-to-relay" },
];

export async function relay(plan: Plan): Promise<Report> {
  const contest = await Contest.open(plan);
  const rows: Row[] = [];
  for (const each of casesFor(plan.clients)) rows.push(await row(contest, each, plan));
  await contest.close();
  return {
    benchmark: "relay",
    unit: "CPU µs per packet",
    conditions: `${plan.topology}, closed loop, ${plan.repeats} alternating runs of ${plan.seconds} s, median (lowest–highest) ×ratio to coturn`,
    baseline: "coturn",
    rows,
  };
}

async function row(contest: Contest, each: Case, plan: Plan): Promise<Row> {
  const name = nameOf(each);
  const results = await contest.inTurn(name, async ({ load }) => {
    await load.allocate(each.clients);
    if (each.direction === "relay-to-relay") await load.pair();
    return load.forward({ ...each, seconds: plan.seconds });
  });
  return { name, cells: [...results].map(([subject, runs]) => cellOf(subject, runs)) };
}

export function nameOf({ size, clients, burst, direction, framing }: Case): string {
  const trains = burst > 1 ? ` in bursts of ${burst}` : "";
  const who = clients === 1 ? "1 client" : `${clients.toLocaleString("en")} clients`;
  return `${size.toLocaleString("en")} B${trains}, ${who}, ${direction}${framing === "indication" ? ", indications" : ""}`;
}

export function cellOf(subject: string, runs: readonly ForwardResult[]): Cell {
  const spread = (value: (run: ForwardResult) => number) => spreadOf(runs.map(value));
  const flaw = flawOf(runs);
  return {
    subject,
    value: spread((run) => (run.cpuSeconds / run.forwarded) * 1e6),
    ...(flaw ? { flaw } : {}),
    beside: {
      packetsPerSecond: spread((run) => run.forwarded / run.seconds),
      coreShare: spread((run) => run.cpuSeconds / run.seconds),
      generatorWaitingShare: spread((run) => run.fullShare),
      p50Microseconds: spread((run) => run.p50Microseconds),
      p99Microseconds: spread((run) => run.p99Microseconds),
    },
  };
}

function flawOf(runs: readonly ForwardResult[]): string {
  const total = (value: (run: ForwardResult) => number) => runs.reduce((sum, run) => sum + value(run), 0);
  const flaws = {
    lost: total((run) => run.lost),
    corrupt: total((run) => run.corrupt),
    reordered: total((run) => run.reordered),
  };
  const sent = total((run) => run.sent);
  return Object.entries(flaws)
    .filter(([, count]) => count > 0)
    .map(([name, count]) => `${count} of ${sent} ${name}`)
    .join(", ");
}
