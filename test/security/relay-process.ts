// A relay as it is run, in a process of its own, for users who have peers on loopback.

import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { newFolder, startSluice } from "../cli/sluice-process.ts";
import { freePorts } from "../interop/server-process.ts";
import { alice, bob } from "./victim.ts";

export interface RelayProcess {
  /** Of 127.0.0.1, for UDP and TCP. */
  readonly port: number;
  /** Memory that it has now. */
  residentMegabytes(): number;
  /** Warnings and errors so far, one a line. */
  complaints(): string[];
}

export interface RelayProcessOptions {
  /** That it may have open, as the operator's limit has it. */
  readonly files?: number;
  /** More keys of the configuration. */
  readonly keys?: object;
}

/** More than it needs, and little enough that V8 does not put off collecting: what grows in the long run is a leak. */
const heapMegabytes = 48;

/** It ends with the test. */
export async function startRelayProcess(
  dataplane: "portable" | "native",
  { files, keys = {} }: RelayProcessOptions = {},
): Promise<RelayProcess> {
  const [port = 0] = await freePorts(1);
  const file = join(newFolder(), "sluice.json");
  const configuration = {
    listen: [`udp://127.0.0.1:${port}`, `tcp://127.0.0.1:${port}`],
    user: { [alice.username]: alice.password, [bob.username]: bob.password },
    dataplane,
    loopback: true,
    "relay-address": "127.0.0.1",
    metrics: "http://127.0.0.1:0",
    log: { level: "warn", format: "json" },
    ...keys,
  };
  writeFileSync(file, JSON.stringify(configuration));
  const { pid, printed, stdout } = startSluice(["serve", "--config", file], {
    NODE_OPTIONS: `--max-old-space-size=${heapMegabytes}`,
  });
  if (files !== undefined) execFileSync("prlimit", ["--pid", `${pid}`, `--nofile=${files}:${files}`]);
  await printed(/LOOPBACK PEERS/);
  const residentMegabytes = () => {
    const [, kilobytes] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
    return Number(kilobytes) / 1024;
  };
  return { port, residentMegabytes, complaints: () => stdout().trim().split("\n") };
}
