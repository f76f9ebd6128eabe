// What a relay watches while it runs, of which nothing may go on when it has stopped.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { userLine } from "../../src/accounts/users-text.ts";
import { readConfig } from "../../src/config/config.ts";
import { startRelay } from "../../src/relay.ts";
import { makeCertificate, newFolder } from "../dataplane/certificate-files.ts";
import { needs } from "../interop/needs.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] }));
afterEach(() => void vi.useRealTimers());

/** Files and folders of whose changes Linux tells this process (inotify). */
function watched(): number {
  const told = readdirSync("/proc/self/fdinfo").map((fd) => {
    try {
      return readFileSync(`/proc/self/fdinfo/${fd}`, "utf8").match(/^inotify wd:/gm)?.length ?? 0;
    } catch {
      // The folder was open itself while it was read.
      return 0;
    }
  });
  return told.reduce((sum, each) => sum + each, 0);
}

describe.runIf(needs("openssl"))("a relay that has stopped", () => {
  test("looks at nothing any more: no file, no certificate, no clock", async () => {
    const folder = newFolder();
    const usersFile = join(folder, "users");
    writeFileSync(usersFile, `${userLine("alice", "sluice", "wonderland")}\n`, { mode: 0o600 });
    const before = watched();
    const flags = {
      listen: ["udp://127.0.0.1:0", "tls://127.0.0.1:0"],
      tls: makeCertificate(folder, ["relay.example.org"]),
      "users-file": usersFile,
      loopback: true,
      "relay-address": "127.0.0.1",
      metrics: "none",
      log: { level: "silent" },
    };
    const relay = await startRelay(readConfig({ flags, env: {} }));
    expect(watched()).toBe(before + 1);
    expect(vi.getTimerCount()).toBeGreaterThan(0);
    relay.drain();
    await relay.stop();
    expect(watched()).toBe(before);
    expect(vi.getTimerCount()).toBe(0);
  });
});
