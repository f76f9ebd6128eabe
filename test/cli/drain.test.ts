// How `sluice serve` ends without ending calls.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { FakeServer } from "../component/fake-server.ts";
import { newFolder, type SluiceProcess, startSluice } from "./sluice-process.ts";
import { TurnClient } from "./turn-client.ts";

const alice = { username: "alice", password: "wonderland" };

async function start(keys = ""): Promise<SluiceProcess & { port: number; metrics: string; credentials: string }> {
  const file = join(newFolder(), "sluice.yaml");
  const text = `
listen: [udp://127.0.0.1:0]
relay-address: 127.0.0.1
user: { alice: wonderland }
metrics: http://127.0.0.1:0
alternate-servers: { when: draining, servers: { at: "udp://192.0.2.7:3478" } }
${keys}`;
  writeFileSync(file, text);
  const sluice = startSluice(["serve", "--config", file]);
  await sluice.printed(/"at":"127\.0\.0\.1:\d+","msg":"listening"/, /"at":"127\.0\.0\.1:\d+","msg":"metrics"/);
  const at = (what: string) => new RegExp(`"at":"(127\\.0\\.0\\.1:\\d+)","msg":"${what}"`).exec(sluice.stdout())?.[1];
  return {
    ...sluice,
    port: Number(at("listening")?.split(":")[1]),
    metrics: `http://${at("metrics")}`,
    credentials: `http://${at("handing out credentials")}`,
  };
}

async function client(port: number): Promise<TurnClient> {
  const opened = await TurnClient.open({ address: "127.0.0.1", port }, alice);
  onTestFinished(() => opened.close());
  return opened;
}

async function page(url: string): Promise<string> {
  const response = await fetch(url);
  return `${response.status} ${await response.text()}`;
}

describe("a relay that drains", () => {
  test("says so, sends new clients elsewhere, serves those that are there, and ends with the last of them", async () => {
    const sluice = await start();
    const there = await client(sluice.port);
    expect(await there.allocate()).toMatchObject({ class: "success" });
    expect(await page(`${sluice.metrics}/readyz`)).toMatch(/^200 ready\n/);
    expect(await page(`${sluice.metrics}/metrics`)).toContain("\nsluice_draining 0\n");

    sluice.kill("SIGUSR2");
    await sluice.printed(/"relayPorts":1,"secondsAtMost":3600,"msg":"draining: no new allocations"/);
    expect(await page(`${sluice.metrics}/readyz`)).toBe(
      "503 not ready\nlisteners 1\ncomponent none\ndraining, relay ports 1\n",
    );
    expect(await page(`${sluice.metrics}/healthz`)).toBe("200 ok\n");
    expect(await page(`${sluice.metrics}/metrics`)).toContain("\nsluice_draining 1\n");
    const late = await client(sluice.port);
    expect((await late.allocate())?.attributes).toMatchObject({
      errorCode: { code: 300 },
      alternateServer: [{ address: "192.0.2.7", port: 3478 }],
    });
    expect(await there.ask("refresh", { lifetime: 600 })).toMatchObject({ class: "success" });
    expect(await there.ask("refresh", { lifetime: 0 })).toMatchObject({ class: "success" });
    expect(await sluice.ended).toBe(0);
    expect(sluice.stdout()).toMatch(/"msg":"drained".*"msg":"stopping".*"msg":"stopped"/s);
    expect(sluice.stderr()).toBe("");
  });

  test("hands out no more credentials, over HTTP or XMPP, so that another can", async () => {
    const server = new FakeServer();
    await server.start();
    onTestFinished(() => server.stop());
    const sluice = await start(`secret: s
credentials-http: { listen: "http://127.0.0.1:0", key: k }
xmpp: { service: "${server.service}", domain: relay.example.org, secret: ${server.secret} }`);
    const stream = await server.accept();
    const there = await client(sluice.port);
    await there.allocate();
    const headers = { authorization: "Bearer k" };
    const ask = () => fetch(`${sluice.credentials}/credentials?service=turn`, { headers });
    expect((await ask()).status).toBe(200);
    sluice.kill("SIGUSR2");
    await stream.farewell;
    await vi.waitFor(() => expect(ask()).rejects.toThrow());
    expect(await there.ask("refresh", { lifetime: 600 })).toMatchObject({ class: "success" });
  });

  test("ends when it takes longer than it may", async () => {
    const sluice = await start("drain: { seconds-at-most: 1 }");
    const there = await client(sluice.port);
    await there.allocate();
    sluice.kill("SIGUSR2");
    expect(await sluice.ended).toBe(0);
    expect(sluice.stdout()).toContain('"relayPorts":1,"msg":"not drained in time: what is left ends now"');
  });

  test.each([["SIGINT"], ["SIGTERM"]] as const)("is stopped at once by %s", async (signal) => {
    const sluice = await start();
    const there = await client(sluice.port);
    await there.allocate();
    sluice.kill("SIGUSR2");
    await sluice.printed(/"msg":"draining/);
    sluice.kill(signal);
    expect(await sluice.ended).toBe(0);
  });
});

test("a relay may drain on SIGTERM: the first lets calls go on, also after SIGUSR2, and the second ends them", async () => {
  const sluice = await start("drain: { on-sigterm: drain }");
  const there = await client(sluice.port);
  await there.allocate();
  sluice.kill("SIGUSR2");
  await sluice.printed(/"msg":"draining/);
  sluice.kill("SIGTERM");
  expect(await there.ask("refresh", { lifetime: 600 })).toMatchObject({ class: "success" });
  sluice.kill("SIGTERM");
  expect(await sluice.ended).toBe(0);
  expect(sluice.stdout()).not.toContain('"msg":"drained"');
});
