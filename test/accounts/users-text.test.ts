import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { mistakeInPlace, readUsers, userLine, withoutUser, withUser } from "../../src/accounts/users-text.ts";

const md5 = "f".repeat(32);
const sha256 = "0123456789abcdef".repeat(4);

describe("a users file", () => {
  test("has one user a line, with one key or two, and comments", () => {
    const { users, mistakes } = readUsers(
      `# the office\n\nalice:sluice:${md5}\nBob Builder:example.org:${md5.toUpperCase()}:${sha256}\r\n  \n`,
    );
    expect(mistakes).toEqual([]);
    expect(users).toEqual([
      { name: "alice", realm: "sluice", keys: { md5: Buffer.alloc(16, 255), sha256: undefined } },
      {
        name: "Bob Builder",
        realm: "example.org",
        keys: { md5: Buffer.alloc(16, 255), sha256: Buffer.from(sha256, "hex") },
      },
    ]);
  });

  test("may know one name in two realms", () => {
    expect(readUsers(`alice:one:${md5}\nalice:two:${md5}\n`)).toMatchObject({ users: [{}, {}], mistakes: [] });
  });

  test("has all its mistakes told at once, each with its line, and none quotes a key or a name", () => {
    const { users, mistakes } = readUsers(
      [
        "alice",
        `bob:sluice:${md5}`,
        `carol:sluice:${md5}0:abc`,
        ":sluice:",
        `dave:sluice:${md5}:${sha256}:more`,
        `bob:sluice:${"0".repeat(32)}`,
        `eve::${md5}`,
        `${"x".repeat(509)}:sluice:${md5}`,
        `frank:sluice:${"g".repeat(32)}`,
      ].join("\n"),
    );
    expect(mistakes).toEqual([
      { line: 1, message: "expected name:realm:md5key or name:realm:md5key:sha256key" },
      { line: 3, message: "md5key: expected 32 hexadecimal digits" },
      { line: 3, message: "sha256key: expected 64 hexadecimal digits" },
      { line: 4, message: "name: expected 1 to 508 bytes, no colon, and no # in front" },
      { line: 4, message: "md5key: expected 32 hexadecimal digits" },
      { line: 5, message: "expected name:realm:md5key or name:realm:md5key:sha256key" },
      { line: 6, message: "the same name and realm as in line 2" },
      { line: 7, message: "realm: expected 1 to 127 characters, none of them a colon" },
      { line: 8, message: "name: expected 1 to 508 bytes, no colon, and no # in front" },
      { line: 9, message: "md5key: expected 32 hexadecimal digits" },
    ]);
    expect(users.map(({ name }) => name)).toEqual(["bob"]);
  });
});

describe("the line of a user", () => {
  test("holds the hashes of name, realm and password, and can be read back", () => {
    const hash = (algorithm: string) => createHash(algorithm).update("alice:sluice:wonderland").digest("hex");
    const line = userLine("alice", "sluice", "wonderland");
    expect(line).toBe(`alice:sluice:${hash("md5")}:${hash("sha256")}`);
    expect(readUsers(line)).toMatchObject({ users: [{ name: "alice", realm: "sluice" }], mistakes: [] });
  });

  test.each([
    ["a:b", "sluice"],
    ["#alice", "sluice"],
    ["", "sluice"],
    ["alice\nmallory", "sluice"],
    ["alice", "a:b"],
    ["alice", "sluice\n"],
  ])("cannot be of %j in the realm %j", (name, realm) => {
    expect(mistakeInPlace(name, realm)).toBeDefined();
  });
});

describe("a change", () => {
  const text = `# staff\nalice:sluice:${md5}\n\nalice:other:${md5}\n# guests\nalicent:sluice:${md5}\n`;

  test("of a user there is takes the place of the line, and touches nothing else", () => {
    const line = `alice:sluice:${"0".repeat(32)}`;
    expect(withUser(text, line)).toBe(text.replace(`alice:sluice:${md5}`, line));
  });

  test("adds who is new at the end, on a line of his own", () => {
    expect(withUser(text.trimEnd(), `bob:sluice:${md5}`)).toBe(`${text}bob:sluice:${md5}\n`);
    expect(withUser("", `bob:sluice:${md5}`)).toBe(`bob:sluice:${md5}\n`);
  });

  test("takes one user out, and nobody who is called alike or in another realm", () => {
    expect(withoutUser(text, "alice", "sluice")).toBe(text.replace(`alice:sluice:${md5}\n`, ""));
  });
});
