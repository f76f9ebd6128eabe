// Two real WebRTC peers and the relay between them. What they say of their candidates is not enough: the relay's own
// counters must have seen the file pass.

import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readConfig } from "../../src/config/config.ts";
import { type Relay, startRelay } from "../../src/relay.ts";
import { run } from "./program.ts";

const program = fileURLToPath(new URL("./webrtc-file.mjs", import.meta.url));
const megabytes = 10;

let relay: Relay;

beforeAll(async () => {
  const flags = {
    listen: ["udp://127.0.0.1:0"],
    user: { alice: "wonderland" },
    loopback: true,
    "relay-address": "127.0.0.1",
    metrics: "none",
    log: { level: "silent" },
  };
  relay = await startRelay(readConfig({ flags }));
});

afterAll(() => relay.stop());

test("two WebRTC peers exchange 10 MB through the relay, by its own counters", async () => {
  const port = relay.listeners[0]?.at.port;
  const { output, exitCode } = await run(process.execPath, [
    program,
    JSON.stringify({ hostname: "127.0.0.1", port, username: "alice", password: "wonderland" }),
    `${megabytes}`,
  ]);
  expect(exitCode, output).toBe(0);
  expect(JSON.parse(output)).toMatchObject({ isWhole: true, bytes: megabytes * 1024 * 1024 });

  const bytes = (direction: string) =>
    relay.counters().relayed.reduce((sum, row) => sum + (row.direction === direction ? row.bytes : 0), 0);
  expect(bytes("to-peer")).toBeGreaterThan(megabytes * 1024 * 1024);
  expect(bytes("to-client")).toBeGreaterThan(megabytes * 1024 * 1024);
});
