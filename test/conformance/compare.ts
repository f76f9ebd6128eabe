// The command `npm run conformance:compare`: Sluice and coturn put to the same requirements, into docs/conformance.md.

import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { type Column, page, summary } from "./report.ts";
import { run } from "./run.ts";
import { type RunningServer, startCoturn, startSluice } from "./servers.ts";

const file = "docs/conformance.md";

async function column(server: string, start: () => Promise<RunningServer>): Promise<Column> {
  const running = await start();
  try {
    const findings = await run(running.subject);
    console.log(`${server}: ${summary(findings)}`);
    return { server, findings };
  } finally {
    await running.stop();
  }
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
