// TLS in the whole relay: what is counted, and what happens when the files of a certificate change while it runs.

import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect } from "node:tls";
import { afterEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { openLog } from "../../src/admin/log.ts";
import { readConfig } from "../../src/config/config.ts";
import { type Relay, startRelay } from "../../src/relay.ts";
import { encode } from "../../src/stun/message.ts";
import { Method } from "../../src/stun/methods.ts";
import { makeCertificate, newFolder } from "../dataplane/certificate-files.ts";
import { needs } from "../interop/needs.ts";

const watchMillis = 10_000;

describe.runIf(needs("openssl"))("a relay with a certificate", () => {
  const lines: string[] = [];

  afterEach(() => {
    vi.useRealTimers();
    lines.length = 0;
  });

  async function start(folder: string): Promise<Relay> {
    const flags = {
      listen: ["tls://127.0.0.1:0"],
      tls: makeCertificate(folder, ["relay.example.org"]),
      secret: "rabbit",
      loopback: true,
      metrics: "http://127.0.0.1:0",
    };
    const config = readConfig({ flags, env: {} });
    const relay = await startRelay(config, { log: openLog(config.log, { write: (line) => void lines.push(line) }) });
    onTestFinished(() => relay.stop());
    return relay;
  }

  test("counts what came over TLS as that", async () => {
    const relay = await start(newFolder());
    const client = connect({ host: "127.0.0.1", port: relay.listeners[0]?.at.port ?? 0, rejectUnauthorized: false });
    onTestFinished(() => void client.destroy());
    client.write(encode({ class: "request", method: Method.binding, transactionId: Buffer.alloc(12), attributes: {} }));
    await once(client, "data");
    const metrics = await (await fetch(`http://127.0.0.1:${relay.metrics?.port}/metrics`)).text();
    expect(metrics).toContain('sluice_answers_total{method="Binding",code="0",transport="tls"} 1\n');
  });

  test("notices by itself that the files have changed, and says once that they are broken", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    const folder = newFolder();
    await start(folder);
    expect(lines.join("")).toMatch(/"names":"relay\.example\.org","until":"20.*"msg":"certificate"/);
    const { certificate } = makeCertificate(folder, ["renewed.example.org"]);
    vi.advanceTimersByTime(watchMillis);
    await vi.waitFor(() => expect(lines.join("")).toContain('"names":"renewed.example.org"'));
    writeFileSync(certificate, "broken");
    vi.advanceTimersByTime(watchMillis);
    await vi.waitFor(() => expect(lines.join("")).toContain("the old one stays"));
  });
});
