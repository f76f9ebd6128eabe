// A relay behind a NAT that maps one address to one, as in clouds: it asks a STUN server outside what its address is, and
// hears of it when that changes.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test, vi } from "vitest";
import { NatLab, server } from "./nat-lab.ts";
import { needs, needsNetworkNamespaces } from "./needs.ts";

const program = fileURLToPath(new URL("../../dist/main.js", import.meta.url));
const isPossible = needs("iproute2", "nftables", "coturn") && needsNetworkNamespaces();

describe.runIf(isPossible)("a relay behind a NAT", { timeout: 60_000 }, () => {
  const lab = new NatLab();

  beforeAll(async () => {
    expect(inject("buildFaults")).toBe("");
    await lab.start();
  });

  afterAll(() => lab.close());

  test("finds out how the world sees it, also when that changes, and relays there", async () => {
    const { inside, client, outside } = lab.behind("full-cone");
    const folder = mkdtempSync(join(tmpdir(), "sluice-external-"));
    const file = join(folder, "sluice.yaml");
    writeFileSync(
      file,
      `listen: [udp://${client}:3478]
relay-address: { bind: ${client}, external: "stun:${server.primary}:3478" }
user: { alice: wonderland }
metrics: none
`,
    );
    const relay = spawn("ip", ["netns", "exec", inside, process.execPath, program, "serve", "--config", file], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const ended = once(relay, "exit");
    onTestFinished(async () => {
      relay.kill("SIGKILL");
      await ended;
      rmSync(folder, { recursive: true });
    });
    let log = "";
    relay.stdout.setEncoding("utf8").on("data", (text: string) => {
      log += text;
    });
    const logged = (pattern: RegExp) => vi.waitFor(() => expect(log).toMatch(pattern), 15_000);
    /** Two clients outside, through the relayed addresses of both. */
    const uclient = (at: string) =>
      lab.runOutside("turnutils_uclient", [..."-y -c -v -n 10 -m 2 -u alice -w wonderland".split(" "), at]);

    await logged(new RegExp(`"external":"${outside}".*"msg":"relaying"`));
    const before = await uclient(outside);
    expect(before.output).toMatch(/tot_send_msgs=(\d+), tot_recv_msgs=\1\b/);
    expect(before.output).toContain(`${outside}:`);

    const next = lab.renumber("full-cone");
    relay.kill("SIGHUP");
    await logged(new RegExp(`"from":"${outside}","to":"${next}","msg":"the external address has changed"`));
    const after = await uclient(next);
    expect(after.output).toMatch(/tot_send_msgs=(\d+), tot_recv_msgs=\1\b/);
    expect(after.output).toContain(`relay addr: ${next}`);
  });
});
