// What an idle allocation with a permission and a channel weighs: in the server's own memory, and in the kernel's.

import { readFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { Contest } from "./contest.ts";
import type { Plan } from "./plan.ts";
import { type Report, type Row, spreadOf } from "./report.ts";
import type { ServerName } from "./servers/server.ts";

const settlingMillis = 1500;

export async function memory(plan: Plan): Promise<Report> {
  const weights = new Map<ServerName, { resident: number; kernel: number }>();
  for (const name of plan.servers) weights.set(name, await weigh(name, plan));
  const row = (what: string, weight: "resident" | "kernel"): Row => ({
    name: what,
    cells: [...weights].map(([subject, found]) => ({ subject, value: spreadOf([found[weight]]) })),
  });
  return {
    benchmark: "memory",
    unit: "KiB per allocation",
    conditions: `${plan.allocations.toLocaleString("en")} idle allocations, each with a permission and a channel`,
    baseline: "coturn",
    rows: [
      row("resident memory of the server", "resident"),
      row("kernel memory (slab of the whole machine)", "kernel"),
    ],
  };
}

/** The first allocation, made when the contest opened, is not weighed: what it loads is needed once. */
async function weigh(name: ServerName, plan: Plan): Promise<{ resident: number; kernel: number }> {
  const contest = await Contest.open(plan, [name]);
  const [contestant] = contest.contestants;
  if (!contestant) throw new Error("no contestant");
  const { load, server } = contestant;
  await setTimeout(settlingMillis);
  const before = kibibytes(server.program.pid);
  await load.allocate(plan.allocations + 1);
  await setTimeout(settlingMillis);
  const after = kibibytes(server.program.pid);
  await contest.close();
  plan.say(`memory of ${name}`);
  const each = (key: "resident" | "kernel") => (after[key] - before[key]) / plan.allocations;
  return { resident: each("resident"), kernel: each("kernel") };
}

function kibibytes(pid: number): { resident: number; kernel: number } {
  return { resident: numberAfter("VmRSS:", `/proc/${pid}/status`), kernel: numberAfter("Slab:", "/proc/meminfo") };
}

function numberAfter(label: string, file: string): number {
  const line = readFileSync(file, "utf8")
    .split("\n")
    .find((text) => text.startsWith(label));
  return Number.parseInt(line?.slice(label.length) ?? "", 10);
}
