import { describe, expect, test } from "vitest";
import { bareJid } from "../../src/xmpp/jid.ts";
import { accountTyped } from "../../src/xmpp/xep0106-jid-escaping.ts";

function sent(typed: string): string | undefined {
  const jid = accountTyped(typed);
  return jid && bareJid(jid);
}

describe("an account", () => {
  // XEP-0106 section 7 has most of them.
  test.each([
    ["space cadet@example.com", "space\\20cadet@example.com"],
    ['call me "ishmael"@example.com', "call\\20me\\20\\22ishmael\\22@example.com"],
    ["at&t guy@example.com", "at\\26t\\20guy@example.com"],
    ["d'artagnan@example.com", "d\\27artagnan@example.com"],
    ["/.fanboy@example.com", "\\2f.fanboy@example.com"],
    ["::foo::@example.com", "\\3a\\3afoo\\3a\\3a@example.com"],
    ["<foo>@example.com", "\\3cfoo\\3e@example.com"],
    ["user@host@example.com", "user\\40host@example.com"],
    ["c:\\net@example.com", "c\\3a\\net@example.com"],
    ["c:\\5commas@example.com", "c\\3a\\5c5commas@example.com"],
  ])("that people write %s is %s", (typed, wire) => {
    expect(sent(typed)).toBe(wire);
    expect(sent(wire)).toBe(wire);
  });

  test.each([
    ["Alice@Example.ORG", "alice@example.org"],
    [" alice@example.org/Phone ", "alice@example.org"],
    ["alice@example.org/a@b/c", "alice@example.org"],
    ["c\\net@example.com", "c\\net@example.com"],
  ])("is %s in either case, with or without a device", (typed, wire) => {
    expect(sent(typed)).toBe(wire);
  });

  test.each(["", "example.org", "@example.org", "alice@", "alice@exam ple", " @example.org", "a @example.org"])(
    "is not %j",
    (typed) => {
      expect(sent(typed)).toBeUndefined();
    },
  );
});
