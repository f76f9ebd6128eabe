import { describe, expect, test } from "vitest";
import { bareJid, isServer, isUserOf, parseJid } from "../../src/xmpp/jid.ts";

describe("a JID", () => {
  test.each([
    ["example.org", { local: "", domain: "example.org", resource: "" }],
    ["alice@example.org", { local: "alice", domain: "example.org", resource: "" }],
    ["alice@Example.ORG/Phone", { local: "alice", domain: "example.org", resource: "Phone" }],
    ["example.org/a@b/c", { local: "", domain: "example.org", resource: "a@b/c" }],
    ["алиса@пример.example/文件", { local: "алиса", domain: "пример.example", resource: "文件" }],
  ])("%s has its parts", (text, parts) => {
    expect(parseJid(text)).toEqual(parts);
  });

  test.each([
    "",
    "@example.org",
    "alice@",
    "alice@/phone",
    "/phone",
    "alice@example.org/",
    undefined,
    7,
    "é".repeat(512),
  ])("%j is none", (text) => {
    expect(parseJid(text)).toBeUndefined();
  });

  // A hash over it comes out the same for the others only if it is as they wrote it (XEP-0065 section 7).
  test("of an occupant of a room keeps the nickname as it is, and is no user of the domain above", () => {
    const occupant = jid("tea@Rooms.b.example/Third Witch");
    expect(occupant).toEqual({ local: "tea", domain: "rooms.b.example", resource: "Third Witch" });
    expect(isUserOf(occupant, ["b.example"])).toBe(false);
  });

  test("of a device belongs to its account, and of a server to the server", () => {
    expect(["alice@example.org/phone", "example.org/x"].map((text) => bareJid(jid(text)))).toEqual([
      "alice@example.org",
      "example.org",
    ]);
  });

  test("of a user is one of an account at exactly that domain", () => {
    const users = ["a@b.example", "a@b.example/c", "b.example", "a@x.b.example", "b.example/a@b.example"].filter(
      (text) => isUserOf(jid(text), ["b.example"]),
    );
    expect(users).toEqual(["a@b.example", "a@b.example/c"]);
  });

  test("of a server is bare and has no account", () => {
    expect(["b.example", "b.example/c", "a@b.example"].filter((text) => isServer(jid(text)))).toEqual(["b.example"]);
  });
});

function jid(text: string) {
  return parseJid(text) ?? expect.fail(`${text} is no JID`);
}
