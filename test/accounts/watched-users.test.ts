import { chmodSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { userLine } from "../../src/accounts/users-text.ts";
import { type UsersFact, type WatchedUsers, watchUsers } from "../../src/accounts/watched-users.ts";
import { Unavailable } from "../../src/contract.ts";
import { longTermKey } from "../../src/stun/keys.ts";
import { newFolder } from "./folder.ts";

const realm = "sluice";
const alice = userLine("alice", realm, "wonderland");
const bob = userLine("bob", realm, "builder");

interface Watching {
  readonly path: string;
  readonly users: WatchedUsers;
  readonly facts: UsersFact[];
}

async function watching(text: string, lookMillis?: number): Promise<Watching> {
  const path = join(newFolder(), "users");
  writeFileSync(path, text, { mode: 0o600 });
  const facts: UsersFact[] = [];
  const options = { path, realm, report: (fact: UsersFact) => void facts.push(fact) };
  const users = await watchUsers(lookMillis === undefined ? options : { ...options, lookMillis });
  onTestFinished(() => users.stop());
  return { path, users, facts };
}

function isKnown(users: WatchedUsers, name: string): boolean {
  return users.authenticate(name, 0).length > 0;
}

describe("users of a file", () => {
  test("are known by their keys, under their names, without an end", async () => {
    const { users } = await watching(`${alice}\n`);
    expect(users.authenticate("alice", 0)).toEqual([
      {
        user: "alice",
        until: Number.POSITIVE_INFINITY,
        keys: {
          md5: longTermKey("alice", realm, "wonderland"),
          sha256: longTermKey("alice", realm, "wonderland", "sha256"),
        },
      },
    ]);
    expect(users.authenticate("bob", 0)).toEqual([]);
  });

  test("of another realm are left out, and counted", async () => {
    const { users, facts } = await watching(`${alice}\n${userLine("bob", "elsewhere", "builder")}\n`);
    expect(isKnown(users, "bob")).toBe(false);
    expect(facts).toEqual([{ fact: "users-read", users: 1, ofOtherRealms: 1 }]);
  });

  test("are the same objects from one question to the next, so that nothing is computed twice", async () => {
    const { users } = await watching(`${alice}\n`);
    expect(users.authenticate("alice", 0)[0]).toBe(users.authenticate("alice", 1)[0]);
  });

  test("come and go with the file when another is put in its place", async () => {
    const { path, users } = await watching(`${alice}\n`);
    writeFileSync(`${path}.new`, `${bob}\n`);
    renameSync(`${path}.new`, path);
    await vi.waitFor(() => expect(isKnown(users, "bob")).toBe(true), { timeout: 10_000 });
    expect(isKnown(users, "alice")).toBe(false);
  });

  test("come and go when the file is written over", async () => {
    const { path, users } = await watching(`${alice}\n`);
    writeFileSync(path, `${bob}\n`);
    await vi.waitFor(() => expect(isKnown(users, "bob")).toBe(true), { timeout: 10_000 });
    expect(isKnown(users, "alice")).toBe(false);
  });

  test("are looked for now and then where the system does not tell of changes", async () => {
    const folder = newFolder();
    const { path, users } = await watching(`${alice}\n`, 20);
    // Gone and made anew, the folder is no longer the one that is watched.
    const parent = join(path, "..");
    renameSync(parent, join(folder, "away"));
    mkdirSync(parent);
    writeFileSync(path, `${bob}\n`);
    await vi.waitFor(() => expect(isKnown(users, "bob")).toBe(true), { timeout: 10_000 });
  });

  test("stay as they are while the file is broken or gone, which is told once for each change", async () => {
    const { path, users, facts } = await watching(`${alice}\n`);
    facts.length = 0;
    writeFileSync(path, `${bob}\nnonsense\nmore:of:it\n`);
    await vi.waitFor(() => expect(facts).toHaveLength(1), { timeout: 10_000 });
    expect(facts[0]).toEqual({
      fact: "users-unreadable",
      reason: [
        `the users file ${path} has mistakes:`,
        "line 2: expected name:realm:md5key or name:realm:md5key:sha256key",
        "line 3: md5key: expected 32 hexadecimal digits",
      ].join("\n"),
    });
    expect(isKnown(users, "alice")).toBe(true);
    expect(isKnown(users, "bob")).toBe(false);

    rmSync(path);
    await vi.waitFor(() => expect(facts).toHaveLength(2), { timeout: 10_000 });
    expect(isKnown(users, "alice")).toBe(true);

    writeFileSync(path, `${bob}\n`, { mode: 0o600 });
    await vi.waitFor(() => expect(isKnown(users, "bob")).toBe(true), { timeout: 10_000 });
    expect(facts).toHaveLength(3);
  });

  test("are read anew at once when that is asked for", async () => {
    const { path, users } = await watching(`${alice}\n`);
    writeFileSync(path, `${bob}\n`);
    await users.reload();
    expect(isKnown(users, "bob")).toBe(true);
  });

  test("are not for others to see, and it is said when they are", async () => {
    const { path, users, facts } = await watching(`${alice}\n`);
    chmodSync(path, 0o644);
    await users.reload();
    expect(facts.at(-1)).toMatchObject({ fact: "users-open-to-others", reason: expect.stringContaining("chmod o=") });
  });

  test("are none to begin with when the file is broken or missing: the start fails", async () => {
    await expect(watching("nonsense\n")).rejects.toThrow(Unavailable);
    const nowhere = watchUsers({ path: "/nowhere/users", realm, report: () => {} });
    await expect(nowhere).rejects.toThrow(Unavailable);
  });
});
