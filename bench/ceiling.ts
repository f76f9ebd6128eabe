// What the load generator can do by itself, so that one sees that it is not what limits the servers.

import { Contest } from "./contest.ts";
import { audio, video } from "./forwarding.ts";
import type { Plan } from "./plan.ts";
import { conditionsOf, type Report, spreadOf } from "./report.ts";

export async function ceiling(plan: Plan): Promise<Report> {
  const contest = await Contest.open(plan, plan.servers.slice(0, 1));
  const rows = [];
  for (const [name, kind] of Object.entries({ "172 B": audio, "1,200 B": video })) {
    const results = await contest.inTurn(name, ({ load }) =>
      load.forward({ ...kind, clients: 1000, direction: "direct", seconds: plan.seconds }),
    );
    const runs = [...results.values()].flat();
    const value = spreadOf(runs.map(({ forwarded, seconds }) => forwarded / seconds));
    rows.push({ name: `${name}, 1,000 clients straight to their peers`, cells: [{ subject: "generator", value }] });
  }
  await contest.close();
  return { benchmark: "ceiling", unit: "packets per second", conditions: conditionsOf(plan), rows };
}
