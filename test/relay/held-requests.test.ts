// Requests that wait for a word from outside: who is asked about, what is handed in again, and how much is held.

import { describe, expect, test } from "vitest";
import type { Input } from "../../src/contract.ts";
import { HeldRequests, type Question } from "../../src/relay/held-requests.ts";
import type { WordOnUser } from "../../src/turn/asked-users.ts";

const on = { socket: 1, transport: "udp", at: { address: "192.0.2.1", port: 3478 } } as const;

function question(
  username: string,
  port = 5000,
  more: { via?: number; text?: string; address?: string } = {},
): Question {
  const { via = 1, text = "request", address = "198.51.100.7" } = more;
  return {
    do: "ask",
    username,
    again: { is: "datagram", on, via, from: { address, port }, bytes: Buffer.from(text) },
  };
}

function holding() {
  const words = new Map<string, (word: WordOnUser) => void>();
  const questions: string[] = [];
  const heard: [string, WordOnUser][] = [];
  const handed: Input[] = [];
  const held = new HeldRequests({
    asked: { hear: (username, word) => void heard.push([username, word]) },
    ask(username) {
      questions.push(username);
      return new Promise((resolve) => words.set(username, resolve));
    },
    hand: (input) => void handed.push(input),
    now: () => 0,
  });
  return {
    held,
    questions,
    heard,
    handed,
    async answers(username: string, word: WordOnUser = "nobody") {
      words.get(username)?.(word);
      await Promise.resolve();
    },
  };
}

describe("a held request", () => {
  test("is handed in again when there is a word, which is heard before", async () => {
    const { held, questions, heard, handed, answers } = holding();
    const [first, other] = [question("alice"), question("bob", 5001)];
    held.hold(first);
    held.hold(other);
    expect(questions).toEqual(["alice", "bob"]);
    await answers("bob", "silence");
    expect(heard).toEqual([["bob", "silence"]]);
    expect(handed).toEqual([other.again]);
    await answers("alice");
    expect(handed).toEqual([other.again, first.again]);
  });

  test("has its name asked about once, whoever waits for it, and is handed in once, however often it was sent", async () => {
    const { held, questions, handed, answers } = holding();
    const [first, sibling] = [question("alice"), question("alice", 5001)];
    for (const each of [first, sibling, question("alice"), question("alice", 5001)]) held.hold(each);
    expect(questions).toEqual(["alice"]);
    await answers("alice");
    expect(handed).toEqual([first.again, sibling.again]);
  });

  test("is not handed in when its connection has ended: nobody would close what it opens", async () => {
    const { held, handed, answers } = holding();
    const [gone, there] = [question("alice", 5000, { via: 7 }), question("alice", 5001, { via: 8 })];
    held.hold(gone);
    held.hold(there);
    held.forget(7);
    await answers("alice");
    expect(handed).toEqual([there.again]);
  });

  test("is dropped where one host has too many of them, all together have, or it is far too long", () => {
    const { held, questions } = holding();
    for (let port = 1; port <= 100; port++) held.hold(question(`a${port}`, port));
    expect(questions).toHaveLength(64);
    held.hold(question("bob", 1, { address: "198.51.100.8", text: "x".repeat(2049) }));
    expect(questions).toHaveLength(64);
    for (let i = 0; i < 2000; i++) held.hold(question(`b${i}`, 1, { address: `10.0.${i >> 8}.${i & 255}` }));
    expect(questions).toHaveLength(1024);
  });

  test("shares its host with every address of its IPv6 /64", () => {
    const { held, questions } = holding();
    for (let i = 1; i <= 100; i++) held.hold(question(`a${i}`, 1, { address: `2001:db8:1:2::${i}` }));
    expect(questions).toHaveLength(64);
    held.hold(question("bob", 1, { address: "2001:db8:1:3::1" }));
    expect(questions).toHaveLength(65);
  });
});
