import { describe, expect, test } from "vitest";
import { AskedUsers } from "../../src/turn/asked-users.ts";

const now = 1_800_000_000_000;
const keys = { md5: new Uint8Array(16) };
const alice = { user: "alice", keys, until: now + 3_600_000 };

function asked(namesAtMost = 10): AskedUsers {
  return new AskedUsers({ namesAtMost, userSeconds: 300, nobodySeconds: 30 });
}

describe("users asked about", () => {
  test("are asked about once in a while", () => {
    const users = asked();
    expect(users.mustAsk("alice", now)).toBe(true);
    users.hear("alice", alice, now);
    expect(users.mustAsk("alice", now + 299_999)).toBe(false);
    expect(users.mustAsk("alice", now + 300_000)).toBe(true);
    expect(users.authenticate("alice", now)).toEqual([alice]);
  });

  test("are unknown from their end on, and asked about again", () => {
    const users = asked();
    users.hear("alice", { ...alice, until: now + 1000 }, now);
    expect(users.authenticate("alice", now + 999)).toHaveLength(1);
    expect(users.authenticate("alice", now + 1000)).toEqual([]);
    expect(users.mustAsk("alice", now + 1000)).toBe(true);
    users.hear("alice", { ...alice, until: now }, now);
    expect(users.mustAsk("alice", now)).toBe(false);
  });

  test("may turn out to be nobody, for a shorter while, also if they were known", () => {
    const users = asked();
    users.hear("alice", alice, now);
    users.hear("alice", "nobody", now);
    expect(users.authenticate("alice", now)).toEqual([]);
    expect(users.mustAsk("alice", now + 29_999)).toBe(false);
    expect(users.mustAsk("alice", now + 30_000)).toBe(true);
  });

  test("stay known through silence until their end, and are asked about again soon", () => {
    const users = asked();
    users.hear("alice", alice, now);
    users.hear("alice", "silence", now + 300_000);
    expect(users.authenticate("alice", now + 300_000)).toEqual([alice]);
    expect(users.mustAsk("alice", now + 300_999)).toBe(false);
    expect(users.mustAsk("alice", now + 301_000)).toBe(true);
    users.hear("alice", "silence", alice.until);
    expect(users.authenticate("alice", alice.until)).toEqual([]);
    expect(users.mustAsk("alice", alice.until)).toBe(false);
  });

  test("are not asked about in a loop, whatever the word: after it comes a pause", () => {
    for (const word of [alice, { ...alice, until: 0 }, "nobody", "silence"] as const) {
      const users = asked();
      users.hear("alice", word, now);
      expect(users.mustAsk("alice", now)).toBe(false);
    }
  });

  test("are bounded, the oldest going first, and names that strangers make up push out no user", () => {
    const users = asked(2);
    for (const name of ["alice", "bob", "carol"]) users.hear(name, { ...alice, user: name }, now);
    for (const name of ["x", "y", "z"]) users.hear(name, "nobody", now);
    const known = ["alice", "bob", "carol"].filter((name) => users.authenticate(name, now).length > 0);
    expect(known).toEqual(["bob", "carol"]);
    expect(["x", "y", "z"].filter((name) => users.mustAsk(name, now))).toEqual(["x"]);
  });
});
