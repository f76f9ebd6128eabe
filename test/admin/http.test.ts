// The pages for Prometheus and for whoever restarts and balances.

import { once } from "node:events";
import { request } from "node:http";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { startAdmin } from "../../src/admin/http.ts";
import { Unavailable } from "../../src/contract.ts";
import type { HttpListener } from "../../src/http-listener.ts";

let admin: HttpListener;
let isReady: boolean;
let isWell: boolean;
let read: () => Promise<string>;

beforeEach(async () => {
  isReady = true;
  isWell = true;
  read = async () => "sluice_relays 0\n";
  admin = await startAdmin({
    at: { address: "127.0.0.1", port: 0 },
    metrics: { contentType: "text/plain; version=0.0.4", read: () => read() },
    readiness: () => ({ isReady, lines: ["component offline"] }),
    xmpp: async () => ({ isWell, lines: ["component relay.example.org online", "ok     all of it"] }),
  });
});

afterEach(() => admin.stop());

async function ask(path: string, method = "GET") {
  const asked = request({ host: "127.0.0.1", port: admin.at.port, path, method, agent: false }).end();
  const [response] = await once(asked, "response");
  return { status: response.statusCode, headers: response.headers, body: await text(response) };
}

describe("the admin pages", () => {
  test("show the metrics in the type that Prometheus asks for", async () => {
    expect(await ask("/metrics")).toMatchObject({
      status: 200,
      headers: { "content-type": "text/plain; version=0.0.4" },
      body: "sluice_relays 0\n",
    });
  });

  test("say that the process lives", async () => {
    expect(await ask("/healthz")).toMatchObject({ status: 200, body: "ok\n" });
  });

  test("say whether clients are served, and how the parts are", async () => {
    expect(await ask("/readyz")).toMatchObject({ status: 200, body: "ready\ncomponent offline\n" });
    isReady = false;
    expect(await ask("/readyz")).toMatchObject({ status: 503, body: "not ready\ncomponent offline\n" });
  });

  test("say what the XMPP server does of its part", async () => {
    const body = "component relay.example.org online\nok     all of it\n";
    expect(await ask("/xmpp")).toMatchObject({ status: 200, body });
    isWell = false;
    expect(await ask("/xmpp")).toMatchObject({ status: 503, body });
  });

  test("are found with a query, too", async () => {
    expect((await ask("/healthz?full=1")).status).toBe(200);
  });

  test.each(["/", "/metrics/", "//metrics", "/../metrics", "/constructor", "/%6detrics", "*"])(
    "are not at %s",
    async (path) => {
      expect((await ask(path)).status).toBe(404);
    },
  );

  test.each(["POST", "PUT", "DELETE", "OPTIONS"])("are not for %s", async (method) => {
    expect(await ask("/metrics", method)).toMatchObject({ status: 405, headers: { allow: "GET, HEAD" } });
  });

  test("answer HEAD without a body", async () => {
    expect(await ask("/healthz", "HEAD")).toMatchObject({ status: 200, headers: { "content-length": "3" }, body: "" });
  });

  test("answer 500 when the metrics cannot be made, without saying why", async () => {
    read = () => Promise.reject(new Error("of no business of yours"));
    const { status, body } = await ask("/metrics");
    expect(status).toBe(500);
    expect(body).not.toContain("business");
  });

  test("refuse a request with endless headers", async () => {
    const socket = connect(admin.at.port, "127.0.0.1");
    socket.write(`GET /healthz HTTP/1.1\r\nhost: x\r\nx: ${"x".repeat(20_000)}`);
    expect(await text(socket)).toMatch(/^HTTP\/1.1 431 /);
  });
});

describe("the admin server", () => {
  test("says that its port is taken", async () => {
    const again = startAdmin({
      at: admin.at,
      metrics: { contentType: "", read },
      readiness: () => ({ isReady, lines: [] }),
    });
    await expect(again).rejects.toThrow(Unavailable);
    await expect(again).rejects.toThrow(`cannot serve metrics on 127.0.0.1 port ${admin.at.port}`);
  });

  test("stops although a client keeps its connection", async () => {
    const socket = connect(admin.at.port, "127.0.0.1");
    await once(socket, "connect");
    const closed = once(socket, "close");
    await admin.stop();
    await closed;
  });
});
