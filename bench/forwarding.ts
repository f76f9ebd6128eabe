// A case of media through the relay: what is sent, what it is called, and what becomes of its runs.

import type { Contest } from "./contest.ts";
import type { ForwardOptions, ForwardResult } from "./load/generator.ts";
import type { Plan } from "./plan.ts";
import { type Cell, type Row, spreadOf } from "./report.ts";

export type Case = Omit<ForwardOptions, "seconds">;

export const audio = { framing: "channel", size: 172, burst: 1, underway: 64, rate: 0 } as const;
/** Not more under way than a veth pair can hold, 256 packets: what it drops is no server's fault. */
export const video = { framing: "channel", size: 1200, burst: 8, underway: 192, rate: 0 } as const;

/** Runs the case in the contest. Between cases the number of clients may grow, not shrink. */
export async function forwardingRow(contest: Contest, each: Case, plan: Plan): Promise<Row> {
  const name = nameOf(each);
  const results = await contest.inTurn(name, async ({ load }) => {
    await load.allocate(each.clients);
    if (each.direction === "relay-to-relay") await load.pair();
    return load.forward({ ...each, seconds: plan.seconds });
  });
  return { name, cells: [...results].map(([subject, runs]) => forwardingCell(subject, runs)) };
}

function nameOf({ size, clients, burst, direction, framing }: Case): string {
  const trains = burst > 1 ? ` in bursts of ${burst}` : "";
  const who = clients === 1 ? "1 client" : `${clients.toLocaleString("en")} clients`;
  return `${size.toLocaleString("en")} B${trains}, ${who}, ${direction}${framing === "indication" ? ", indications" : ""}`;
}

export function forwardingCell(subject: string, runs: readonly ForwardResult[]): Cell {
  const spread = (value: (run: ForwardResult) => number) => spreadOf(runs.map(value));
  return {
    subject,
    value: spread((run) => (run.cpuSeconds / run.forwarded) * 1e6),
    flaw: flawOf(runs),
    beside: {
      packetsPerSecond: spread((run) => run.forwarded / run.seconds),
      coreShare: spread((run) => run.cpuSeconds / run.seconds),
      generatorWaitingShare: spread((run) => run.fullShare),
      p50Microseconds: spread((run) => run.p50Microseconds),
      p99Microseconds: spread((run) => run.p99Microseconds),
    },
  };
}

/** What must not happen in a closed loop, and did. */
export function flawOf(runs: readonly ForwardResult[]): string {
  const total = (key: "sent" | "lost" | "corrupt" | "reordered") => runs.reduce((sum, run) => sum + run[key], 0);
  return (["lost", "corrupt", "reordered"] as const)
    .filter((key) => total(key) > 0)
    .map((key) => `${total(key)} of ${total("sent")} ${key}`)
    .join(", ");
}
