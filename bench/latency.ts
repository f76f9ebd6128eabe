// How long a packet is under way from client to peer when it need not queue: at a fixed rate, and at half of what one
// core of the server can forward.

import { Contest, type Contestant } from "./contest.ts";
import { audio, flawOf } from "./forwarding.ts";
import type { ForwardResult } from "./load/generator.ts";
import type { Plan } from "./plan.ts";
import { type Cell, conditionsOf, type Report, type Row, spreadOf } from "./report.ts";

const clients = 100;
const direction = "to-peer";

type RateOf = (contestant: Contestant) => number;

export async function latency(plan: Plan): Promise<Report> {
  const contest = await Contest.open(plan);
  const capacities = new Map<Contestant, number>();
  for (const contestant of contest.contestants) capacities.set(contestant, await capacityOf(contestant, plan));
  const rates: Readonly<Record<string, RateOf>> = {
    [`at ${plan.rate.toLocaleString("en")} packets/s`]: () => plan.rate,
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
  const results = await contest.inTurn(name, (contestant) =>
    contestant.load.forward({ ...audio, clients, direction, seconds: plan.seconds, rate: rateOf(contestant) }),
  );
  const row = (figure: string, value: (run: ForwardResult) => number): Row => ({
    name: `${figure} ${name}`,
    cells: [...results].map(
      ([subject, runs]): Cell => ({ subject, value: spreadOf(runs.map(value)), flaw: flawOf(runs) }),
    ),
  });
  return [
    row("median", (run) => run.p50Microseconds),
    row("99th percentile", (run) => run.p99Microseconds),
    row("CPU per packet", (run) => (run.cpuSeconds / run.forwarded) * 1e6),
  ];
}
