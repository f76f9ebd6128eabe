// The command `npm run conformance:compare`: Sluice and coturn put to the same requirements, into docs/conformance.md.

import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { type Column, page, summary } from "./report.ts";
import type { RequirementGroup } from "./requirement.ts";
import { requirementGroups } from "./requirements.ts";
import { type Finding, run } from "./run.ts";
import { type RunningServer, startCoturn, startSluice } from "./servers.ts";

const file = "docs/conformance.md";

type Start = (options: { readonly natDiscovery: boolean }) => Promise<RunningServer>;

/** What one kind of server makes of one document, in a process of its own. */
async function findingsOf(start: Start, group: RequirementGroup): Promise<Finding[]> {
  const running = await start({ natDiscovery: group.needsNatDiscovery === true });
  try {
    return await run(running.subject, undefined, [group]);
  } finally {
    await running.stop();
  }
}

async function column(server: string, start: Start): Promise<Column> {
  const findings: Finding[] = [];
  for (const group of requirementGroups) {
    findings.push(...(await findingsOf(start, group)));
  }
  console.log(`${server}: ${summary(findings)}`);
  return { server, findings };
}

function coturnVersion(): string {
  const { stdout } = spawnSync("turnserver", ["--version"], { encoding: "utf8" });
  return /\d+(\.\d+)+/.exec(stdout ?? "")?.[0] ?? "";
}

const { version } = JSON.parse(readFileSync("package.json", "utf8"));
const columns = [
  await column(`Sluice ${version}`, startSluice),
  await column(`coturn ${coturnVersion()}`, startCoturn),
];
mkdirSync("docs", { recursive: true });
writeFileSync(file, page("npm run conformance:compare", columns));
console.log(`wrote ${file}`);
