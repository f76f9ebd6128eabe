import { describe, expect, test } from "vitest";
import { longTermKey, userhash } from "../../src/stun/keys.ts";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

describe("a long-term key", () => {
  test("is the one that RFC 8489 section 9.2.2 prints", () => {
    expect(hex(longTermKey("user", "realm", "pass"))).toBe("8493fbc53ba582fb4c044c456bdc40eb");
  });

  test("has 16 bytes by MD5 and 32 by SHA-256", () => {
    expect(longTermKey("user", "realm", "pass", "md5").length).toBe(16);
    expect(longTermKey("user", "realm", "pass", "sha256").length).toBe(32);
  });

  test("is the same for every way to write the same password (RFC 8265 section 4.2.2)", () => {
    const key = longTermKey("user", "realm", "pass \u00e9");
    expect(longTermKey("user", "realm", "pass\u00a0e\u0301")).toEqual(key);
    expect(longTermKey("user", "realm", "pass\u3000\u00e9")).toEqual(key);
  });

  test("differs by case and by what looks alike", () => {
    const key = hex(longTermKey("user", "realm", "pass"));
    expect(hex(longTermKey("user", "realm", "Pass"))).not.toBe(key);
    expect(hex(longTermKey("user", "realm", "p\u0430ss"))).not.toBe(key);
  });

  test("takes the username as it came", () => {
    expect(longTermKey("e\u0301", "realm", "pass")).not.toEqual(longTermKey("\u00e9", "realm", "pass"));
  });
});

test("a userhash has 32 bytes and differs by realm", () => {
  expect(userhash("user", "realm").length).toBe(32);
  expect(userhash("user", "realm")).not.toEqual(userhash("user", "other"));
});
