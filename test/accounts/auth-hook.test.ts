import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { AuthHook, type AuthHookFact, type AuthHookOptions } from "../../src/accounts/auth-hook.ts";

const md5 = "0123456789abcdef".repeat(2);
const sha256 = md5 + md5;
const until = 1_900_000_000;

/** A program of the operator's, and what it was asked. */
async function program(answer: RequestListener): Promise<string> {
  const server = createServer(answer).listen(0, "127.0.0.1");
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/turn`;
}

function hookAt(url: string, more: Partial<AuthHookOptions> = {}) {
  const facts: AuthHookFact[] = [];
  const world = { now: 1_800_000_000_000 };
  const hook = new AuthHook({
    url,
    realm: "sluice",
    deadlineMillis: 20_000,
    questionsAtOnce: 4,
    now: () => world.now,
    report: (fact) => void facts.push(fact),
    ...more,
  });
  onTestFinished(() => hook.stop());
  return { hook, facts, world };
}

function answering(status: number, body: unknown): RequestListener {
  return (_, response) => void response.writeHead(status).end(typeof body === "string" ? body : JSON.stringify(body));
}

describe("the auth hook", () => {
  test("is asked with name, realm and key, and its answer is keys, an end and who it is", async () => {
    const requests: { request: IncomingMessage; body: string }[] = [];
    const url = await program(async (request, response) => {
      let body = "";
      for await (const chunk of request.setEncoding("utf8")) body += chunk;
      requests.push({ request, body });
      response.end(JSON.stringify({ md5, sha256, until, user: "account 7" }));
    });
    const { hook } = hookAt(url, { key: "the-key" });
    expect(await hook.ask("alice")).toEqual({
      user: "account 7",
      until: until * 1000,
      keys: { md5: Buffer.from(md5, "hex"), sha256: Buffer.from(sha256, "hex") },
    });
    expect(requests).toHaveLength(1);
    expect(requests[0]?.request).toMatchObject({ method: "POST", url: "/turn" });
    expect(requests[0]?.request.headers).toMatchObject({
      authorization: "Bearer the-key",
      "content-type": "application/json",
    });
    expect(JSON.parse(requests[0]?.body ?? "")).toEqual({ username: "alice", realm: "sluice" });
  });

  test("may give one key only, and leave the user's name as it is", async () => {
    const { hook } = hookAt(await program(answering(200, { md5, until })));
    expect(await hook.ask("alice")).toMatchObject({ user: "alice", keys: { md5: Buffer.from(md5, "hex") } });
  });

  test("may name a server that should serve this user", async () => {
    const alternate = { at: ["udp://192.0.2.9:3478", "tls://[2001:db8::9]:5349"], name: "relay9.example.org" };
    const { hook } = hookAt(await program(answering(200, { md5, until, alternate })));
    expect(await hook.ask("alice")).toMatchObject({
      alternate: {
        at: [
          { transport: "udp", at: { address: "192.0.2.9", port: 3478 } },
          { transport: "tls", at: { address: "2001:db8::9", port: 5349 } },
        ],
        name: "relay9.example.org",
      },
    });
    const { hook: brief } = hookAt(
      await program(answering(200, { md5, until, alternate: { at: "tcp://192.0.2.9:1" } })),
    );
    expect(await brief.ask("alice")).toMatchObject({ alternate: { at: [{ transport: "tcp" }] } });
  });

  test("says with 404 that there is no such user", async () => {
    const { hook } = hookAt(await program(answering(404, "no such user")));
    expect(await hook.ask("alice")).toBe("nobody");
  });

  test.each([
    ["a fault of its own", 500, ""],
    ["another success", 204, ""],
    ["something else than JSON", 200, "alice: yes"],
    ["no key", 200, { until }],
    ["a key that is none", 200, { md5: `${md5}00`, until }],
    ["no end", 200, { md5 }],
    ["an alternate that is nowhere", 200, { md5, until, alternate: { at: "udp://relay9.example.org:1" } }],
    ["far too much", 200, { md5, until, more: "x".repeat(5000) }],
  ])("is not believed when it answers with %s", async (_, status, body) => {
    const { hook } = hookAt(await program(answering(status, body)));
    expect(await hook.ask("alice")).toBe("silence");
  });

  test("is not followed elsewhere", async () => {
    const url = await program((request, response) => {
      if (request.url === "/turn") response.writeHead(307, { location: "/elsewhere" }).end();
      else response.end(JSON.stringify({ md5, until }));
    });
    expect(await hookAt(url).hook.ask("alice")).toBe("silence");
  });

  test("has a deadline, for the answer and for its turn", async () => {
    const { hook } = hookAt(await program(() => {}), { deadlineMillis: 100, questionsAtOnce: 1 });
    expect(await Promise.all(["alice", "bob", "carol"].map((name) => hook.ask(name)))).toEqual(
      Array.from({ length: 3 }, () => "silence"),
    );
  });

  test("has a deadline that the collection of garbage does not take away", async () => {
    setFlagsFromString("--expose-gc");
    const collect: () => void = runInNewContext("gc");
    const { hook } = hookAt(await program(() => {}), { deadlineMillis: 200, questionsAtOnce: 1 });
    const words = Promise.all([hook.ask("alice"), hook.ask("bob")]);
    const collecting = setInterval(collect, 10);
    onTestFinished(() => clearInterval(collecting));
    expect(await words).toEqual(["silence", "silence"]);
  });

  test("has no more questions at once than it is meant to, and the others in their turn", async () => {
    const open: ServerResponse[] = [];
    const { hook } = hookAt(await program((_, response) => void open.push(response)), { questionsAtOnce: 2 });
    const words = ["a", "b", "c", "d", "e"].map((name) => hook.ask(name));
    let answered = 0;
    while (answered < words.length) {
      const expected = Math.min(2, words.length - answered);
      await vi.waitFor(() => expect(open).toHaveLength(expected));
      open.shift()?.writeHead(404).end();
      answered += 1;
    }
    expect(await Promise.all(words)).toEqual(words.map(() => "nobody"));
  });

  test("is left alone after five failures in a row, then tried with one question, and it is told once", async () => {
    let isBroken = true;
    let questions = 0;
    const url = await program((_, response) => {
      questions += 1;
      response.writeHead(isBroken ? 500 : 404).end();
    });
    const { hook, facts, world } = hookAt(url);
    for (let i = 0; i < 8; i++) expect(await hook.ask("alice")).toBe("silence");
    expect(questions).toBe(5);
    expect(facts).toEqual([{ fact: "auth-hook-silent", reason: "it answers 500" }]);

    world.now += 10_000;
    expect(await Promise.all([hook.ask("alice"), hook.ask("bob")])).toEqual(["silence", "silence"]);
    expect(questions).toBe(6);

    world.now += 10_000;
    isBroken = false;
    expect(await hook.ask("alice")).toBe("nobody");
    expect(await Promise.all([hook.ask("alice"), hook.ask("bob")])).toEqual(["nobody", "nobody"]);
    expect(facts.slice(1)).toEqual([{ fact: "auth-hook-answers" }]);
  });

  test("that is not there is silent, and the reason names nobody", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    await once(server.close(), "close");
    const { hook, facts } = hookAt(`http://127.0.0.1:${port}/`);
    for (let i = 0; i < 5; i++) expect(await hook.ask("alice")).toBe("silence");
    expect(facts).toEqual([{ fact: "auth-hook-silent", reason: `connect ECONNREFUSED 127.0.0.1:${port}` }]);
  });

  test("leaves nobody waiting when the relay stops", async () => {
    const { hook, facts } = hookAt(await program(() => {}), { questionsAtOnce: 1 });
    const words = [hook.ask("alice"), hook.ask("bob")];
    hook.stop();
    expect(await Promise.all(words)).toEqual(["silence", "silence"]);
    expect(facts).toEqual([]);
  });
});
