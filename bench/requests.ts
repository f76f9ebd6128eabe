// What requests cost the server: Binding, and whole lives of allocations, each begun by a 401.

import { Contest } from "./contest.ts";
import type { LoadGenerator, RequestsResult } from "./load/generator.ts";
import type { Plan } from "./plan.ts";
import { type Cell, conditionsOf, type Report, type Row, spreadOf } from "./report.ts";

type Run = (load: LoadGenerator, seconds: number) => Promise<RequestsResult>;

const warmUpSeconds = 5;
const lives = { underway: 32 } as const;
const runs: Readonly<Record<string, Run>> = {
  "Binding, 100 clients": (load, seconds) => load.askForBindings({ clients: 100, underway: 64, seconds }),
  "Allocate, 401, Refresh(0)": (load, seconds) => load.churn({ ...lives, isWithChannel: false, seconds }),
  "the same with CreatePermission and ChannelBind": (load, seconds) =>
    load.churn({ ...lives, isWithChannel: true, seconds }),
};

export async function requests(plan: Plan): Promise<Report> {
  const contest = await Contest.open(plan);
  const rows: Row[] = [];
  // Not counted: requests run through code of their own, which compiles itself while it runs.
  for (const run of Object.values(runs)) await contest.warmUp(({ load }) => run(load, warmUpSeconds));
  for (const [name, run] of Object.entries(runs)) {
    const results = await contest.inTurn(name, ({ load }) => run(load, plan.seconds));
    rows.push({ name, cells: [...results].map(([subject, each]) => cellOf(subject, each)) });
  }
  await contest.close();
  return { benchmark: "requests", unit: "CPU µs each", conditions: conditionsOf(plan), baseline: "coturn", rows };
}

function cellOf(subject: string, results: readonly RequestsResult[]): Cell {
  const total = (key: "lost" | "corrupt") => results.reduce((sum, result) => sum + result[key], 0);
  const flaws = (["lost", "corrupt"] as const).filter((key) => total(key) > 0).map((key) => `${total(key)} ${key}`);
  return {
    subject,
    value: spreadOf(results.map(({ cpuSeconds, done }) => (cpuSeconds / done) * 1e6)),
    flaw: flaws.join(", "),
    beside: {
      perCoreSecond: spreadOf(results.map(({ cpuSeconds, done }) => done / cpuSeconds)),
      perSecond: spreadOf(results.map(({ seconds, done }) => done / seconds)),
    },
  };
}
