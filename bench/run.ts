// `npm run bench -- NAME…`: runs benchmarks, prints a table of each, and keeps everything in bench/results/ as JSON, as
// tables and as a chart.

import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, release } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { ceiling } from "./ceiling.ts";
import { chartOf } from "./chart.ts";
import { codec } from "./codec.ts";
import { growth } from "./growth.ts";
import { joins } from "./joins.ts";
import { latency } from "./latency.ts";
import { machine } from "./machine.ts";
import { memory } from "./memory.ts";
import type { Plan } from "./plan.ts";
import { plane } from "./plane.ts";
import { relay } from "./relay.ts";
import { type Report, tableOf } from "./report.ts";
import { requests } from "./requests.ts";
import { type ServerName, serverNames, usualServers, whyNot } from "./servers/server.ts";
import { Stage } from "./servers/stage.ts";
import { streams } from "./streams.ts";
import { threads } from "./threads.ts";
import { loopback, type TopologyName, topologyNames } from "./topology.ts";
import { openVeth } from "./veth.ts";
import { xmpp } from "./xmpp.ts";

const benchmarks: Readonly<Record<string, (plan: Plan) => Promise<Report>>> = {
  codec,
  machine,
  plane,
  relay,
  streams,
  joins,
  requests,
  memory,
  latency,
  growth,
  threads,
  xmpp,
  ceiling,
};

const usage = `npm run bench -- [NAME…] [OPTION…]

  NAME              of ${Object.keys(benchmarks).join(" ")}; all if none is given
  --seconds N       length of a measured run (1.5)
  --repeats N       runs of each server in each case (5)
  --clients N,N     numbers of clients (1,100,1000)
  --rates N,N       packets a second of the latency benchmark (20000,50000)
  --allocations N   idle allocations of the memory benchmark (15000)
  --servers A,B     of ${serverNames.join(" ")}; those of ${usualServers.join(" ")} that can be started if none is given
  --topology NAME   of ${topologyNames.join(" ")} (loopback)
`;

function readPlan(args: readonly string[], stage: Stage): { plan: Plan; names: readonly string[] } {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      seconds: { type: "string", default: "1.5" },
      repeats: { type: "string", default: "5" },
      clients: { type: "string", default: "1,100,1000" },
      rates: { type: "string", default: "20000,50000" },
      allocations: { type: "string", default: "15000" },
      servers: { type: "string" },
      topology: { type: "string", default: "loopback" },
    },
  });
  const say = (progress: string) => {
    process.stderr.write(`${progress}\n`);
  };
  const plan = {
    seconds: positive(values.seconds),
    repeats: positive(values.repeats),
    clients: ascending(values.clients),
    rates: ascending(values.rates),
    allocations: positive(values.allocations),
    servers:
      values.servers === undefined ? startable(say) : values.servers.split(",").map((name) => oneOf(name, serverNames)),
    topology: oneOf<TopologyName>(values.topology, topologyNames) === "veth" ? openVeth(stage) : loopback,
    stage,
    say,
  };
  const known = Object.keys(benchmarks);
  return { plan, names: positionals.length > 0 ? positionals.map((name) => oneOf(name, known)) : known };
}

function startable(say: (progress: string) => void): ServerName[] {
  return usualServers.filter((name) => {
    const reason = whyNot(name);
    if (reason) say(`without ${name}: ${reason}`);
    return !reason;
  });
}

function ascending(list: string): number[] {
  return list
    .split(",")
    .map(positive)
    .sort((a, b) => a - b);
}

function positive(text: string): number {
  const number = Number(text);
  if (number > 0 && Number.isFinite(number)) return number;
  throw new Error(`not a number above zero: ${text}\n\n${usage}`);
}

function oneOf<Name extends string>(text: string, names: readonly Name[]): Name {
  const found = names.find((name) => name === text);
  if (found !== undefined) return found;
  throw new Error(`${text} is none of ${names.join(" ")}\n\n${usage}`);
}

function keep(reports: readonly Report[]): string {
  const folder = fileURLToPath(new URL("../../results/", import.meta.url));
  const machineFacts = { node: process.version, kernel: release(), cpu: cpus()[0]?.model ?? "", cores: cpus().length };
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    join(folder, "bench.json"),
    `${JSON.stringify({ at: new Date(), ...machineFacts, reports }, null, 1)}\n`,
  );
  writeFileSync(join(folder, "bench.md"), reports.map(tableOf).join("\n"));
  writeFileSync(join(folder, "bench.svg"), chartOf(reports));
  return folder;
}

const stage = new Stage();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => void stage.close().then(() => process.exit(1)));
}
try {
  const { plan, names } = readPlan(process.argv.slice(2), stage);
  const reports: Report[] = [];
  for (const name of names) {
    const report = await benchmarks[name]?.(plan);
    if (!report) continue;
    reports.push(report);
    console.log(tableOf(report));
  }
  console.log(`kept in ${keep(reports)}`);
} catch (problem) {
  console.error(problem instanceof Error ? problem.message : problem);
  process.exitCode = 1;
} finally {
  await stage.close();
}
