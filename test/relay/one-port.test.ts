// A listener for any stream in the whole relay: it is offered as both, and counted by what came.

import { once } from "node:events";
import { connect as connectTcp } from "node:net";
import { connect as connectTls } from "node:tls";
import { describe, expect, onTestFinished, test } from "vitest";
import { readConfig } from "../../src/config/config.ts";
import { startRelay } from "../../src/relay.ts";
import { encode } from "../../src/stun/message.ts";
import { Method } from "../../src/stun/methods.ts";
import { makeCertificate, newFolder } from "../dataplane/certificate-files.ts";
import { needs } from "../interop/needs.ts";

const request = { class: "request", method: Method.binding, transactionId: Buffer.alloc(12), attributes: {} } as const;

describe.runIf(needs("openssl"))("a listener for any stream", () => {
  test("is a door over TCP and one over TLS, and each is counted as what it is", async () => {
    const flags = {
      listen: ["any://127.0.0.1:0"],
      tls: makeCertificate(newFolder(), ["relay.example.org"]),
      secret: "rabbit",
      loopback: true,
      metrics: "http://127.0.0.1:0",
      log: { level: "silent" },
    };
    const relay = await startRelay(readConfig({ flags, env: {} }));
    onTestFinished(() => relay.stop());
    const port = relay.listeners[0]?.at.port ?? 0;
    expect(relay.doors).toEqual([
      { transport: "tcp", host: "127.0.0.1", port },
      { transport: "tls", host: "relay.example.org", port },
    ]);
    const plain = connectTcp({ host: "127.0.0.1", port });
    const secured = connectTls({ host: "127.0.0.1", port, rejectUnauthorized: false });
    for (const client of [plain, secured, plain]) {
      const answered = once(client, "data");
      client.write(encode(request));
      await answered;
    }
    onTestFinished(() => [plain, secured].forEach((client) => void client.destroy()));
    const metrics = await (await fetch(`http://127.0.0.1:${relay.metrics?.port}/metrics`)).text();
    expect(metrics).toContain('sluice_answers_total{method="Binding",code="0",transport="tcp"} 2\n');
    expect(metrics).toContain('sluice_answers_total{method="Binding",code="0",transport="tls"} 1\n');
  });
});
