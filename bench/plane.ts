// What the portable plane forwards on one core, with a whole Sluice around it.

import { Contest } from "./contest.ts";
import { forwardingRow } from "./forwarding.ts";
import type { Plan } from "./plan.ts";
import { casesForSeveral } from "./relay.ts";
import { conditionsOf, type Report, type Row } from "./report.ts";

export async function plane(plan: Plan): Promise<Report> {
  const contest = await Contest.open(plan, ["portable"]);
  const rows: Row[] = [];
  for (const each of casesForSeveral) rows.push(inTwoColumns(await forwardingRow(contest, each, plan)));
  await contest.close();
  return { benchmark: "plane", unit: "portable plane", conditions: conditionsOf(plan), rows };
}

function inTwoColumns({ name, cells }: Row): Row {
  const columns = cells.flatMap((cell) => {
    const packets = cell.beside?.packetsPerSecond;
    return [
      { ...cell, subject: "CPU µs per packet" },
      ...(packets ? [{ subject: "packets per second", value: packets }] : []),
    ];
  });
  return { name, cells: columns };
}
