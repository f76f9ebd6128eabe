import { once } from "node:events";
import { connect } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { startCredentialsServer } from "../../src/accounts/credentials-http.ts";
import { Unavailable } from "../../src/contract.ts";
import type { HttpListener } from "../../src/http-listener.ts";
import { authenticator, mintCredential } from "../../src/turn/credentials.ts";

const key = "the-key-of-the-callers";
const secret = "shared";
const now = 1_800_000_000_500;
const uris = ["turn:relay.example.org:3478?transport=udp"];

async function start(port = 0): Promise<HttpListener> {
  const server = await startCredentialsServer({
    at: { address: "127.0.0.1", port },
    key,
    lifetimeSeconds: 600,
    uris: () => uris,
    mint: (user, untilSeconds) => mintCredential(secret, user, untilSeconds),
    now: () => now,
  });
  onTestFinished(() => server.stop());
  return server;
}

interface Asked extends RequestInit {
  readonly target?: string;
}

async function ask(server: HttpListener, { target = "/credentials?service=turn&username=alice", ...init }: Asked = {}) {
  const headers = { authorization: `Bearer ${key}`, ...init.headers };
  const response = await fetch(`http://127.0.0.1:${server.at.port}${target}`, { ...init, headers });
  const body = (await response.json()) as Readonly<Record<string, string>>;
  return { status: response.status, headers: response.headers, body };
}

describe("credentials over HTTP", () => {
  test("are of the user asked for, with their end and where to use them", async () => {
    const { status, headers, body } = await ask(await start());
    const minted = mintCredential(secret, "alice", 1_800_000_600);
    expect({ status, body }).toEqual({ status: 200, body: { ...minted, ttl: 600, uris } });
    expect(body.username).toBe("1800000600:alice");
    expect(headers.get("content-type")).toBe("application/json");
    expect(headers.get("cache-control")).toBe("no-store");
  });

  test("are what the relay accepts", async () => {
    const { body } = await ask(await start());
    const authenticate = authenticator({ users: new Map(), secrets: [secret] });
    expect(authenticate(body.username ?? "", now)).toMatchObject([{ user: "alice", password: body.password }]);
  });

  test("can be had by POST, too, with the parameters in the body", async () => {
    const body = new URLSearchParams({ service: "turn", username: "bob & co" });
    const answer = await ask(await start(), { method: "POST", target: "/credentials", body });
    expect(answer).toMatchObject({ status: 200, body: { username: "1800000600:bob & co" } });
    const inQuery = await ask(await start(), { method: "POST" });
    expect(inQuery).toMatchObject({ status: 200, body: { username: "1800000600:alice" } });
  });

  test("are of a user of their own for who is not named", async () => {
    const server = await start();
    const names = [1, 2].map(async () => (await ask(server, { target: "/credentials?service=turn" })).body.username);
    const [first, second] = await Promise.all(names);
    expect(first).toMatch(/^1800000600:[\w-]{12}$/);
    expect(first).not.toBe(second);
  });

  test.each([
    ["no key", undefined],
    ["a wrong key", "Bearer the-key-of-the-caller"],
    ["a longer key", `Bearer ${key}s`],
    ["an empty key", "Bearer "],
    ["another scheme", `Basic ${key}`],
  ])("are refused with %s", async (_, authorization) => {
    const server = await start();
    const url = `http://127.0.0.1:${server.at.port}/credentials?service=turn`;
    const response = await fetch(url, { headers: authorization === undefined ? {} : { authorization } });
    expect(response.status).toBe(401);
    expect(response.headers.get("www-authenticate")).toBe("Bearer");
    expect(await response.text()).not.toContain("password");
  });

  test.each([
    [404, { target: "/" }],
    [404, { target: "/credentials/?service=turn" }],
    [405, { method: "DELETE" }],
    [400, { target: "/credentials" }],
    [400, { target: "/credentials?service=stun" }],
    [400, { target: `/credentials?service=turn&username=${"x".repeat(498)}` }],
    [400, { target: "/credentials?service=turn&username=a%0ab" }],
    [413, { method: "POST", body: new URLSearchParams({ username: "x".repeat(5000) }) }],
    [415, { method: "POST", body: '{"service":"turn"}', headers: { "content-type": "application/json" } }],
  ] as const)("are refused with %i for %j", async (status, asked) => {
    expect(await ask(await start(), asked)).toMatchObject({ status, body: { error: expect.any(String) } });
  });

  test("are refused with 431 where the request has a header without end, and with 411 for a body of unknown length", async () => {
    const server = await start();
    for (const [more, status] of [
      [`x: ${"y".repeat(9000)}\r\n\r\n`, 431],
      [`authorization: Bearer ${key}\r\ntransfer-encoding: chunked\r\n\r\n`, 411],
    ] as const) {
      const socket = connect(server.at.port, "127.0.0.1");
      onTestFinished(() => void socket.destroy());
      socket.write(`POST /credentials?service=turn HTTP/1.1\r\nhost: relay\r\n${more}`);
      const [head] = await once(socket, "data");
      expect(String(head)).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    }
  });

  test("are not handed out where the port is taken", async () => {
    const { at } = await start();
    await expect(start(at.port)).rejects.toThrow(Unavailable);
  });
});
