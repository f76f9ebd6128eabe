// The relay machine: load and relay in network namespaces of their own, joined by a veth pair. What a machine's driver
// would do for the relay (NAPI, IP, UDP) is done by one kernel thread, pinned to the relay's core and counted with it.
// What arrives on the other side is received on the load's core.

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { compiled } from "./load/compiled.ts";
import type { Stage } from "./servers/stage.ts";
import { pinnedTo, type Topology } from "./topology.ts";

const loadAddress = "10.77.0.254";
const networks = { relays: "10.77.0.0/24", clients: "10.78.0.0/16", peers: "10.79.0.0/16" };

export function openVeth(stage: Stage): Topology {
  removeLeftovers();
  const names = { load: `sluice-bench-${process.pid}-load`, relay: `sluice-bench-${process.pid}-relay` };
  const inRelay = ["ip", "netns", "exec", names.relay];
  const inLoad = ["ip", "netns", "exec", names.load];
  for (const name of Object.values(names)) {
    run(["ip", "netns", "add", name]);
    stage.onClose(() => void spawnSync("ip", ["netns", "del", name]));
  }
  // Of a length that leaves the thread's name, napi/NAME-id, recognizable in its 15 characters.
  const cable = { load: "load", relay: `r${process.pid % 1_000_000}` };
  run([
    "ip",
    "link",
    "add",
    cable.load,
    "netns",
    names.load,
    "type",
    "veth",
    "peer",
    cable.relay,
    "netns",
    names.relay,
  ]);
  configure(names.load, cable.load, [loadAddress]);
  configure(
    names.relay,
    cable.relay,
    Array.from({ length: 8 }, (_, index) => relayAddress(index)),
  );
  for (const network of [networks.clients, networks.peers]) {
    run(["ip", "-n", names.load, "route", "add", "local", network, "dev", "lo"]);
    run(["ip", "-n", names.relay, "route", "add", network, "via", loadAddress]);
  }
  run([...inLoad, compiled("offloads"), cable.load, "tso=off"]);
  run([...inLoad, "sh", "-c", `echo 1 > /sys/class/net/${cable.load}/queues/rx-0/rps_cpus`]);
  run([...inRelay, compiled("offloads"), cable.relay, "gro=on"]);
  run([...inRelay, "sh", "-c", `echo 1 > /sys/class/net/${cable.relay}/threaded`]);
  const kernelThreads = threadsNamed(`napi/${cable.relay}-`.slice(0, 15));
  const [taskset, option, core] = pinnedTo("last");
  for (const thread of kernelThreads) {
    if (taskset && option && core) run([taskset, "-p", option, core, String(thread)]);
  }
  return {
    name: "veth",
    asServer: [...inRelay, ...pinnedTo("last")],
    asSpreadServer: inRelay,
    asLoad: [...inLoad, ...pinnedTo("first")],
    firstClient: "10.78.0.1",
    firstPeer: "10.79.0.1",
    networks: Object.values(networks),
    kernelThreads,
    placeFor: async (index) => ({ address: relayAddress(index), port: 3478 }),
  };
}

/** Namespaces of a suite that was killed. */
function removeLeftovers(): void {
  const { stdout = "" } = spawnSync("ip", ["netns", "list"], { encoding: "utf8" });
  for (const [name, pid] of stdout.matchAll(/^sluice-bench-(\d+)-\w+/gm)) {
    if (!existsSync(`/proc/${pid}`)) spawnSync("ip", ["netns", "del", name]);
  }
}

function relayAddress(index: number): string {
  return `10.77.0.${index + 1}`;
}

function configure(namespace: string, link: string, addresses: readonly string[]): void {
  for (const address of addresses) run(["ip", "-n", namespace, "address", "add", `${address}/24`, "dev", link]);
  run(["ip", "-n", namespace, "link", "set", "lo", "up"]);
  run(["ip", "-n", namespace, "link", "set", link, "up"]);
}

function threadsNamed(start: string): number[] {
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry) && nameOf(entry).startsWith(start))
    .map(Number);
}

/** Empty if the process is gone. */
function nameOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8");
  } catch {
    return "";
  }
}

function run(command: readonly string[]): void {
  const [file = "", ...args] = command;
  const { status, stderr, error } = spawnSync(file, args, { encoding: "utf8" });
  if (status === 0) return;
  throw new Error(`no veth topology here: ${command.join(" ")}: ${error?.message ?? stderr}`);
}
