// `sluice discover` as an operator types it, against a relay in this process.

import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { readConfig } from "../../src/config/config.ts";
import { startRelay } from "../../src/relay.ts";
import { startSluice } from "./sluice-process.ts";

let server: string;

beforeEach(async () => {
  const flags = {
    listen: ["udp://127.0.0.1:0"],
    secret: "rabbit",
    "relay-address": "127.0.0.1",
    metrics: "none",
    log: { level: "silent" },
    "nat-discovery": { "alternate-address": "127.0.0.2", "alternate-port": 0 },
  };
  const relay = await startRelay(readConfig({ flags, env: {} }));
  onTestFinished(() => relay.stop());
  server = `127.0.0.1:${relay.listeners[0]?.at.port}`;
});

async function run(...args: string[]) {
  const { ended, stdout, stderr } = startSluice(["discover", ...args]);
  const code = await ended;
  return { code, stdout: stdout(), stderr: stderr() };
}

describe("sluice discover", () => {
  test("tells a person what it found", async () => {
    const { code, stdout, stderr } = await run(server);
    expect(stdout).toMatch(/^Server {14}127\.0\.0\.1:\d+\nLocal address .*\nPublic address .*\nNAT {17}none\n/);
    expect(stdout).toContain("Anybody can reach this host directly.\n");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  });

  test("tells a program the same", async () => {
    const { code, stdout } = await run(server, "--json", "--tls-port", "1");
    expect(JSON.parse(stdout)).toMatchObject({
      server: { address: "127.0.0.1" },
      udp: { nat: "none", mapping: "endpoint-independent", filtering: "endpoint-independent" },
      tcp: { failure: expect.stringContaining("ECONNREFUSED") },
      tls: { failure: expect.stringContaining("127.0.0.1:1") },
    });
    expect(code).toBe(0);
  });

  test("takes a name for the server", async () => {
    const { code, stdout } = await run(server.replace("127.0.0.1", "localhost"), "--family", "4", "--json");
    expect(JSON.parse(stdout)).toMatchObject({ server: { address: "127.0.0.1" }, udp: { nat: "none" } });
    expect(code).toBe(0);
  });

  test("exits with 69 for a host that has no address", async () => {
    const { code, stdout, stderr } = await run("nowhere.invalid");
    expect({ code, stdout }).toEqual({ code: 69, stdout: "" });
    expect(stderr).toMatch(/^nowhere\.invalid has no address: .*ENOTFOUND/);
  });

  test.each([
    [["example.org:0"], "expected a port"],
    [["example.org:70000"], "expected a port"],
    [["[::1]:x"], "expected a port"],
    [["a:b:c"], "expected a port"],
    [[":3478"], "expected HOST"],
    [["example.org", "--tls-port", "-1"], "expected a port"],
    [["example.org", "--family", "5"], "4, 6"],
    [[], "missing required argument"],
  ])("refuses %j", async (args, message) => {
    const { code, stderr } = await run(...args);
    expect(code).toBe(64);
    expect(stderr).toContain(message);
  });
});
