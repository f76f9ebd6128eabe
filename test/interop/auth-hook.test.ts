// coturn's own client with users whom only a slow auth hook knows: it must notice nothing but the wait.

import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { scheduler } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readConfig } from "../../src/config/config.ts";
import { type Relay, startRelay } from "../../src/relay.ts";
import { longTermKey } from "../../src/stun/keys.ts";
import { needs } from "./needs.ts";
import { type Outcome, run } from "./program.ts";

/** Longer than a client waits before it sends a request again over UDP. */
const hookMillis = 800;

let relay: Relay;
let echo: Socket;
let hook: Server;
const asked: string[] = [];

beforeAll(async () => {
  hook = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const { username, realm } = JSON.parse(Buffer.concat(chunks).toString("utf8"));
    asked.push(username);
    await scheduler.wait(hookMillis);
    const keyOf = (algorithm: "md5" | "sha256") =>
      Buffer.from(longTermKey(username, realm, "wonderland", algorithm)).toString("hex");
    const until = Date.now() / 1000 + 3600;
    response.statusCode = username.startsWith("alice") ? 200 : 404;
    response.end(JSON.stringify({ md5: keyOf("md5"), sha256: keyOf("sha256"), until }));
  }).listen(0, "127.0.0.1");
  await once(hook, "listening");
  const flags = {
    listen: ["udp://127.0.0.1:0", "tcp://127.0.0.1:0"],
    "auth-hook": { url: `http://127.0.0.1:${(hook.address() as AddressInfo).port}/` },
    loopback: true,
    "relay-address": "127.0.0.1",
    metrics: "none",
    log: { level: "silent" },
  };
  relay = await startRelay(readConfig({ flags, env: {} }));
  echo = createSocket("udp4", (bytes, from) => echo.send(bytes, from.port, from.address));
  echo.bind(0, "127.0.0.1");
  await once(echo, "listening");
});

afterAll(async () => {
  echo.close();
  await relay.stop();
  hook.close();
  hook.closeAllConnections();
});

function uclient(transport: "udp" | "tcp", user: string, password = "wonderland"): Promise<Outcome> {
  const listener = relay.listeners.find((each) => each.transport === transport);
  const where = ["-e", "127.0.0.1", "-r", `${echo.address().port}`, "-p", `${listener?.at.port}`];
  const who = ["-u", user, "-w", password, "-n", "20", "-m", "2", "-c", ...(transport === "tcp" ? ["-t"] : [])];
  return run("turnutils_uclient", [...who, ...where, "127.0.0.1"]);
}

describe.runIf(needs("coturn"))("turnutils_uclient with an auth hook", { concurrent: true, timeout: 60_000 }, () => {
  test.for(["udp", "tcp"] as const)("loses nothing over %s, and its user is asked about once", async (transport) => {
    const user = `alice-${transport}`;
    const { output } = await uclient(transport, user);
    expect(output).toMatch(/tot_send_msgs=40, tot_recv_msgs=40/);
    expect(asked.filter((name) => name === user)).toHaveLength(1);
  });

  test.for(["udp", "tcp"] as const)(
    "gets nowhere over %s without being known, or with a wrong password",
    async (transport) => {
      for (const outcome of await Promise.all([
        uclient(transport, `bob-${transport}`),
        uclient(transport, `alice2-${transport}`, "w"),
      ])) {
        expect(outcome.output).toContain("Cannot complete Allocation");
        expect(outcome.output).not.toMatch(/tot_recv_msgs=[1-9]/);
      }
    },
  );
});
