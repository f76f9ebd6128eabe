import { describe, expect, test } from "vitest";
import { Nonces, nonceCookie, passwordAlgorithmsFeature, usernameAnonymityFeature } from "../../src/turn/nonce.ts";

const secret = new Uint8Array(16).fill(1);
const nonces = new Nonces(secret, "example.org", 600);
const client = { address: "198.51.100.7", port: 5000 };
const now = 1_800_000_000_500;

describe("a nonce", () => {
  const nonce = nonces.issue(now, client, "");

  test("is short and made of characters that need no quoting", () => {
    expect(nonce).toMatch(/^[A-Za-z0-9_-]{15}$/);
  });

  test("is fresh for its lifetime and then no more", () => {
    expect(nonces.isFresh(nonce, now, client)).toBe(true);
    expect(nonces.isFresh(nonce, now + 599_000, client)).toBe(true);
    expect(nonces.isFresh(nonce, now + 600_000, client)).toBe(false);
  });

  test("that was fresh once is still nobody else's, and still ends", () => {
    const known = new Nonces(secret, "example.org", 600);
    for (let i = 0; i < 20_000; i++) {
      const issued = now + i * 1000;
      expect(known.isFresh(known.issue(issued, client, ""), issued, client)).toBe(true);
    }
    expect(known.isFresh(nonce, now, client)).toBe(true);
    expect(known.isFresh(nonce, now, client)).toBe(true);
    expect(known.isFresh(nonce, now, { ...client, port: 5001 })).toBe(false);
    expect(known.isFresh(nonce, now + 600_000, client)).toBe(false);
  });

  test("from the future is none of ours", () => {
    expect(nonces.isFresh(nonces.issue(now + 2000, client, ""), now, client)).toBe(false);
  });

  test("is good for one address and port, one realm and one secret", () => {
    expect(nonces.isFresh(nonce, now, { ...client, port: 5001 })).toBe(false);
    expect(nonces.isFresh(nonce, now, { ...client, address: "198.51.100.8" })).toBe(false);
    expect(new Nonces(secret, "example.net", 600).isFresh(nonce, now, client)).toBe(false);
    expect(new Nonces(new Uint8Array(16), "example.org", 600).isFresh(nonce, now, client)).toBe(false);
  });

  test("is stale with any one of its bits turned", () => {
    const bytes = Buffer.from(nonce, "base64url");
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const other = Buffer.from(bytes);
      other.writeUInt8(other.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      expect(nonces.isFresh(other.toString("base64url"), now, client)).toBe(false);
    }
  });

  test.each([
    "",
    "A",
    `${nonce}A`,
    `${nonce}=`,
    ` ${nonce}`,
    `${nonce}\n`,
    nonce.slice(1),
    "obMatJos2AAAA",
    `obMatJos2AAAA${nonce}`,
    "é".repeat(15),
  ])("is not %j", (text) => {
    expect(nonces.isFresh(text, now, client)).toBe(false);
  });
});

describe("a nonce cookie", () => {
  test("says which features there are, from the most significant bit on", () => {
    expect(nonceCookie(0)).toBe("obMatJos2AAAA");
    expect(nonceCookie(passwordAlgorithmsFeature)).toBe("obMatJos2gAAA");
    expect(nonceCookie(usernameAnonymityFeature)).toBe("obMatJos2QAAA");
    expect(nonceCookie(passwordAlgorithmsFeature | usernameAnonymityFeature)).toBe("obMatJos2wAAA");
  });

  test("is part of the nonce: without it, or with another one, it is none of ours", () => {
    const cookie = nonceCookie(passwordAlgorithmsFeature);
    const nonce = nonces.issue(now, client, cookie);
    const rest = nonce.slice(13);
    expect(nonce).toBe(cookie + rest);
    expect(rest).toHaveLength(15);
    expect(nonces.isFresh(nonce, now, client)).toBe(true);
    for (const other of ["", nonceCookie(0), nonceCookie(usernameAnonymityFeature), "obMatJos3gAAA"]) {
      expect(nonces.isFresh(other + rest, now, client)).toBe(false);
    }
  });
});
