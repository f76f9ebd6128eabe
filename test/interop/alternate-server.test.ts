// coturn's own client at a relay that sends it to another one, for both have what it takes: the same secret.

import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { readConfig } from "../../src/config/config.ts";
import { type Relay, startRelay } from "../../src/relay.ts";
import { needs } from "./needs.ts";
import { type Outcome, run } from "./program.ts";

const common = {
  user: { alice: "wonderland" },
  loopback: true,
  "relay-address": "127.0.0.1",
  metrics: "none",
  log: { level: "silent" },
};

let echo: Socket;
const relays: Relay[] = [];

beforeEach(async () => {
  echo = createSocket("udp4", (bytes, from) => echo.send(bytes, from.port, from.address));
  echo.bind(0, "127.0.0.1");
  await once(echo, "listening");
});

afterEach(async () => {
  echo.close();
  await Promise.all(relays.splice(0).map((relay) => relay.stop()));
});

async function open(keys: Record<string, unknown> = {}): Promise<Relay> {
  const listen = ["udp://127.0.0.1:0", "tcp://127.0.0.1:0"];
  const relay = await startRelay(readConfig({ flags: { ...common, listen, ...keys }, env: {} }));
  relays.push(relay);
  return relay;
}

function portOf(relay: Relay, transport: "udp" | "tcp"): number {
  return relay.listeners.find((each) => each.transport === transport)?.at.port ?? 0;
}

function packetsOf(relay: Relay): number {
  return relay.counters().relayed.reduce((sum, { packets }) => sum + packets, 0);
}

function uclient(relay: Relay, transport: "udp" | "tcp"): Promise<Outcome> {
  const where = ["-e", "127.0.0.1", "-r", `${echo.address().port}`, "-p", `${portOf(relay, transport)}`];
  const who = ["-u", "alice", "-w", "wonderland", "-n", "20", "-m", "2", "-c", ...(transport === "tcp" ? ["-t"] : [])];
  return run("turnutils_uclient", [...who, ...where, "127.0.0.1"]);
}

describe.runIf(needs("coturn"))("turnutils_uclient, sent to another relay", { timeout: 60_000 }, () => {
  test.for(["udp", "tcp"] as const)("over %s, loses nothing there", async (transport) => {
    const other = await open();
    const at = `${transport}://127.0.0.1:${portOf(other, transport)}`;
    const first = await open({ "alternate-servers": { when: "always", servers: [{ at }] } });
    const { output } = await uclient(first, transport);
    expect(output).toMatch(/tot_send_msgs=40, tot_recv_msgs=40/);
    expect(packetsOf(first)).toBe(0);
    // Threads count when they come to it.
    await vi.waitFor(() => expect(packetsOf(other)).toBe(80), 15_000);
  });
});
