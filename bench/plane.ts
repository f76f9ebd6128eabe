// What the portable plane forwards on one core, with a whole Sluice around it.

import { Contest } from "./contest.ts";
import type { Plan } from "./plan.ts";
import { casesFor, cellOf, nameOf } from "./relay.ts";
import type { Cell, Report, Row } from "./report.ts";

const clients = 100;

export async function plane(plan: Plan): Promise<Report> {
  const contest = await Contest.open(plan, ["portable"]);
  const rows: Row[] = [];
  for (const each of casesFor([clients])) {
    const name = nameOf(each);
    const results = await contest.inTurn(name, async ({ load }) => {
      await load.allocate(clients);
      if (each.direction === "relay-to-relay") await load.pair();
      return load.forward({ ...each, seconds: plan.seconds });
    });
    const runs = results.get("portable") ?? [];
    rows.push({ name, cells: twoColumns(cellOf("CPU µs per packet", runs)) });
  }
  await contest.close();
  return {
    benchmark: "plane",
    unit: "portable plane",
    conditions: `${plan.topology}, closed loop, ${plan.repeats} runs of ${plan.seconds} s, median (lowest–highest)`,
    rows,
  };
}

function twoColumns(cell: Cell): readonly Cell[] {
  const packets = cell.beside?.packetsPerSecond;
  return packets ? [cell, { subject: "packets per second", value: packets }] : [cell];
}
