// How long a packet is under way from client to peer when it need not queue: at fixed rates, and at half of what one core
// of the server can forward. A rate that was not reached stands beside the figure: it is then no latency, but a queue.

import { Contest, type Contestant } from "./contest.ts";
import { audio, flawOf } from "./forwarding.ts";
import type { ForwardResult } from "./load/generator.ts";
import type { Plan } from "./plan.ts";
import { type Cell, conditionsOf, type Report, type Row, spreadOf } from "./report.ts";

const clients = 100;
const direction = "to-peer";

interface Run extends ForwardResult {
  /** Packets a second that it was to be. */
  readonly rate: number;
}

type RateOf = (contestant: Contestant) => number;

export async function latency(plan: Plan): Promise<Report> {
  const contest = await Contest.open(plan);
  const capacities = new Map<Contestant, number>();
  for (const contestant of contest.contestants) capacities.set(contestant, await capacityOf(contestant, plan));
  const rates: Readonly<Record<string, RateOf>> = {
    ...Object.fromEntries(plan.rates.map((rate) => [`at ${rate.toLocaleString("en")} packets/s`, () => rate])),
    "at half of its own maximum": (contestant) => (capacities.get(contestant) ?? 0) / 2,
  };
  const rows: Row[] = [];
  for (const [name, rateOf] of Object.entries(rates)) rows.push(...(await rowsAt(name, rateOf, contest, plan)));
  await contest.close();
  const conditions = `172 B, ${clients} clients, to-peer, ${conditionsOf(plan)}`;
  return { benchmark: "latency", unit: "µs", conditions, baseline: "coturn", rows };
}

/** Packets that one core forwards a second. */
async function capacityOf({ load }: Contestant, plan: Plan): Promise<number> {
  await load.allocate(clients);
  const { forwarded, cpuSeconds } = await load.forward({ ...audio, clients, direction, seconds: plan.seconds });
  return forwarded / cpuSeconds;
}

async function rowsAt(name: string, rateOf: RateOf, contest: Contest, plan: Plan): Promise<Row[]> {
  const results = await contest.inTurn(name, async (contestant): Promise<Run> => {
    const rate = rateOf(contestant);
    const run = await contestant.load.forward({ ...audio, clients, direction, seconds: plan.seconds, rate });
    return { ...run, rate };
  });
  const row = (figure: string, value: (run: Run) => number): Row => ({
    name: `${figure} ${name}`,
    cells: [...results].map(
      ([subject, runs]): Cell => ({
        subject,
        value: spreadOf(runs.map(value)),
        flaw: [flawOf(runs), shortfallOf(runs)].filter((flaw) => flaw).join(", "),
        beside: { packetsPerSecond: spreadOf(runs.map(reached)) },
      }),
    ),
  });
  return [
    row("median", (run) => run.p50Microseconds),
    row("99th percentile", (run) => run.p99Microseconds),
    row("CPU per packet", (run) => (run.cpuSeconds / run.forwarded) * 1e6),
  ];
}

function reached({ forwarded, seconds }: Run): number {
  return forwarded / seconds;
}

/** Empty where every run came within two hundredths of its rate. */
function shortfallOf(runs: readonly Run[]): string {
  const least = Math.min(...runs.map((run) => reached(run) / run.rate));
  return least < 0.98 ? `only ${Math.round(least * 100)} % of the rate` : "";
}
