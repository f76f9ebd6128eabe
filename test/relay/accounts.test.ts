// Users of a file against the whole relay: who comes in, what counts, and what becomes of who is taken out.

import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { userLine } from "../../src/accounts/users-text.ts";
import { openLog } from "../../src/admin/log.ts";
import { readConfig } from "../../src/config/config.ts";
import { type Relay, startRelay } from "../../src/relay.ts";
import { TurnClient } from "../cli/turn-client.ts";

let lines: string[];

beforeEach(() => {
  lines = [];
});

async function start(more: Record<string, unknown>): Promise<Relay> {
  const flags = {
    listen: ["udp://127.0.0.1:0"],
    loopback: true,
    "relay-address": "127.0.0.1",
    metrics: "none",
    ...more,
  };
  const config = readConfig({ flags, env: {} });
  const sink = { write: (line: string) => void lines.push(line) };
  const relay = await startRelay(config, { log: openLog(config.log, sink) });
  onTestFinished(() => relay.stop());
  return relay;
}

async function clientOf(relay: Relay, username: string, password: string): Promise<TurnClient> {
  const at = relay.listeners[0]?.at ?? { address: "", port: 0 };
  const client = await TurnClient.open(at, { username, password });
  onTestFinished(() => client.close());
  return client;
}

function usersFile(...users: readonly string[]): string {
  const folder = mkdtempSync(join(tmpdir(), "sluice-accounts-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, "users");
  writeUsers(path, ...users);
  return path;
}

function writeUsers(path: string, ...users: readonly string[]): void {
  writeFileSync(path, users.map((line) => `${line}\n`).join(""), { mode: 0o600 });
}

const alice = userLine("alice", "sluice", "wonderland");
const bob = userLine("bob", "sluice", "builder");

describe("a users file", () => {
  test("lets its users in beside those of the configuration, and nobody else", async () => {
    const relay = await start({ "users-file": usersFile(alice), user: { carol: "static" } });
    for (const [name, password] of [
      ["alice", "wonderland"],
      ["carol", "static"],
    ] as const) {
      expect(await (await clientOf(relay, name, password)).allocate()).toMatchObject({ class: "success" });
    }
    for (const [name, password] of [
      ["alice", "underland"],
      ["bob", "builder"],
    ] as const) {
      const answer = await (await clientOf(relay, name, password)).allocate();
      expect(answer).toMatchObject({ attributes: { errorCode: { code: 401 } } });
    }
  });

  test("has each of its users counted by name", async () => {
    const relay = await start({ "users-file": usersFile(alice, bob), quota: { "allocations-per-user": 1 } });
    expect(await (await clientOf(relay, "alice", "wonderland")).allocate()).toMatchObject({ class: "success" });
    expect(await (await clientOf(relay, "alice", "wonderland")).allocate()).toMatchObject({
      attributes: { errorCode: { code: 486 } },
    });
    expect(await (await clientOf(relay, "bob", "builder")).allocate()).toMatchObject({ class: "success" });
  });

  test("lets nobody refresh who was taken out of it, and lets in who was added", async () => {
    const path = usersFile(alice);
    const relay = await start({ "users-file": path });
    const client = await clientOf(relay, "alice", "wonderland");
    await client.allocate();
    expect(await client.ask("refresh", { lifetime: 600 })).toMatchObject({ class: "success" });
    writeUsers(path, bob);
    await vi.waitFor(() => expect(lines.filter((line) => line.includes("users-read"))).toHaveLength(2), 10_000);
    expect(await client.ask("refresh", { lifetime: 600 })).toMatchObject({ attributes: { errorCode: { code: 401 } } });
    expect(await (await clientOf(relay, "bob", "builder")).allocate()).toMatchObject({ class: "success" });
  });

  test("is not told of in the log but by numbers, also when it is broken", async () => {
    const path = usersFile(alice);
    const relay = await start({ "users-file": path });
    writeUsers(path, bob, bob);
    await vi.waitFor(() => expect(lines.join("")).toContain("users-unreadable"), 10_000);
    await relay.stop();
    expect(lines.join("")).toContain("the same name and realm as in line 1");
    for (const kept of ["alice", "bob", alice.slice(13, 45), bob.slice(11, 43)]) {
      expect(lines.join("")).not.toContain(kept);
    }
  });
});

describe("credentials over HTTP", () => {
  const key = "the-key-of-the-callers";
  const more = { secret: "shared", "credentials-http": { listen: "http://127.0.0.1:0", key } };

  async function handedOut(relay: Relay) {
    const url = `http://127.0.0.1:${relay.credentials?.port}/credentials?service=turn&username=alice`;
    const response = await fetch(url, { headers: { authorization: `Bearer ${key}` } });
    return (await response.json()) as { username: string; password: string; ttl: number; uris: string[] };
  }

  test("open an allocation at the listeners that they name", async () => {
    const relay = await start({ ...more, listen: ["udp://127.0.0.1:0", "tcp://127.0.0.1:0"] });
    const { username, password, ttl, uris } = await handedOut(relay);
    expect(ttl).toBe(86_400);
    expect(uris).toEqual(
      relay.listeners.map(({ transport, at }) => `turn:127.0.0.1:${at.port}?transport=${transport}`),
    );
    expect(await (await clientOf(relay, username, password)).allocate()).toMatchObject({ class: "success" });
  });

  test("name the host that the operator wants named", async () => {
    const relay = await start({
      secret: "s",
      "credentials-http": { ...more["credentials-http"], host: "relay.example" },
    });
    expect((await handedOut(relay)).uris).toEqual([`turn:relay.example:${relay.listeners[0]?.at.port}?transport=udp`]);
  });

  test("leave no trace in the log", async () => {
    const relay = await start({ ...more, log: { level: "debug" } });
    const { password } = await handedOut(relay);
    await relay.stop();
    for (const kept of ["alice", password, key]) expect(lines.join("")).not.toContain(kept);
  });

  test("leave nothing open when their port is taken", async () => {
    const first = await start(more);
    const { port = 0 } = first.credentials ?? {};
    const taken = { ...more, "credentials-http": { listen: `http://127.0.0.1:${port}`, key } };
    await expect(start(taken)).rejects.toThrow(`cannot hand out credentials on 127.0.0.1 port ${port}`);
    await first.stop();
    expect((await start(taken)).credentials?.port).toBe(port);
  });
});

describe("an auth hook", () => {
  /** Answers when it is told to, and knows alice. */
  async function hookAsked() {
    const open: ServerResponse[] = [];
    const server = createServer((_, response) => void open.push(response)).listen(0, "127.0.0.1");
    onTestFinished(() => {
      server.close();
      server.closeAllConnections();
    });
    await once(server, "listening");
    const md5 = alice.split(":")[2];
    return {
      open,
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
      async answers(status: number) {
        await vi.waitFor(() => expect(open).not.toHaveLength(0));
        open
          .shift()
          ?.writeHead(status)
          .end(JSON.stringify({ md5, until: Date.now() / 1000 + 3600, user: "account 7" }));
      },
    };
  }

  test("lets in whom it knows, while others are served without waiting", async () => {
    const { url, open, answers } = await hookAsked();
    const relay = await start({ "auth-hook": { url }, user: { carol: "static" } });
    const waiting = (await clientOf(relay, "alice", "wonderland")).allocate();
    await vi.waitFor(() => expect(open).toHaveLength(1));
    expect(await (await clientOf(relay, "carol", "static")).allocate()).toMatchObject({ class: "success" });
    await answers(200);
    expect(await waiting).toMatchObject({ class: "success" });
    expect(await (await clientOf(relay, "alice", "wonderland")).allocate()).toMatchObject({ class: "success" });
    expect(await (await clientOf(relay, "alice", "underland")).allocate()).toMatchObject({
      attributes: { errorCode: { code: 401 } },
    });
    expect(open).toEqual([]);
  });

  test("has whom it does not know refused, and whom it says nothing about", async () => {
    const { url, answers } = await hookAsked();
    const relay = await start({ "auth-hook": { url, "deadline-milliseconds": 100 } });
    const nobody = (await clientOf(relay, "bob", "builder")).allocate();
    await answers(404);
    const unheard = (await clientOf(relay, "alice", "wonderland")).allocate();
    for (const answer of await Promise.all([nobody, unheard])) {
      expect(answer).toMatchObject({ attributes: { errorCode: { code: 401 } } });
    }
  });

  test("is not needed for a start, and is told of in the log by numbers only", async () => {
    const relay = await start({ "auth-hook": { url: "http://127.0.0.1:9/" }, log: { level: "debug" } });
    for (let i = 0; i < 5; i++) await (await clientOf(relay, `alice-liddell-${i}`, "wonderland")).allocate();
    await relay.stop();
    expect(lines.join("")).toContain("auth-hook-silent");
    expect(lines.join("")).not.toContain("alice-liddell");
  });
});
