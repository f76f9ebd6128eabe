import { createHmac } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isIntact } from "../../src/stun/integrity.ts";
import { decode, encode } from "../../src/stun/message.ts";

const transactionId = Buffer.from("0102030405060708090a0b0c", "hex");
const key = Buffer.from("secret");
const draft = { class: "request", method: 1, transactionId, attributes: { username: "alice", lifetime: 600 } } as const;

/** Adds the first `length` bytes of the right HMAC, as another implementation might. */
function sealWithSha256(message: Uint8Array, length: number): Buffer {
  const sealed = Buffer.concat([message, Buffer.from("001c0000", "hex"), Buffer.alloc((length + 3) & ~3)]);
  sealed.writeUInt16BE(sealed.length - 20, 2);
  sealed.writeUInt16BE(length, message.length + 2);
  const hmac = createHmac("sha256", key).update(sealed.subarray(0, message.length)).digest();
  hmac.copy(sealed, message.length + 4, 0, length);
  return sealed;
}

/** Adds attributes in hexadecimal without a thought for what stood last. */
function append(message: Uint8Array, hex: string): Buffer {
  const longer = Buffer.concat([message, Buffer.from(hex.replaceAll(" ", ""), "hex")]);
  longer.writeUInt16BE(longer.length - 20, 2);
  return longer;
}

describe.each(["sha1", "sha256"] as const)("integrity by %s", (algorithm) => {
  test("holds with the right key only", () => {
    const bytes = encode(draft, { key, algorithm });
    expect(isIntact(bytes, key, algorithm)).toBe(true);
    expect(isIntact(bytes, Buffer.from("Secret"), algorithm)).toBe(false);
    expect(isIntact(bytes, new Uint8Array(0), algorithm)).toBe(false);
  });

  test("holds with and without a FINGERPRINT after it", () => {
    const bytes = encode(draft, { key, algorithm, fingerprint: true });
    expect(isIntact(bytes, key, algorithm)).toBe(true);
    expect(decode(bytes)?.attributes.fingerprint).toBeDefined();
  });

  test("does not cover what follows it", () => {
    const bytes = append(encode(draft, { key, algorithm }), "000d0004 00000001");
    expect(isIntact(bytes, key, algorithm)).toBe(true);
    expect(decode(bytes)?.attributes.lifetime).toBe(600);
  });

  test("breaks with any bit of what it covers, or of itself", () => {
    const bytes = encode(draft, { key, algorithm });
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Buffer.from(bytes);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(isIntact(flipped, key, algorithm), `bit ${bit}`).toBe(false);
    }
  });

  test("is absent from a message that has none, and from what is no message", () => {
    expect(isIntact(encode(draft), key, algorithm)).toBe(false);
    expect(isIntact(Buffer.alloc(0), key, algorithm)).toBe(false);
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => !isIntact(bytes, key, algorithm)));
  });

  test("does not pass for the other algorithm", () => {
    const bytes = encode(draft, { key, algorithm });
    expect(isIntact(bytes, key, algorithm === "sha1" ? "sha256" : "sha1")).toBe(false);
  });

  test("cut off in the middle is none", () => {
    const bytes = encode(draft, { key, algorithm });
    for (let length = 0; length < bytes.length; length++) {
      const cut = Buffer.from(bytes.subarray(0, length));
      if (length >= 20) cut.writeUInt16BE(length - 20, 2);
      expect(isIntact(cut, key, algorithm), `${length} bytes`).toBe(false);
    }
  });
});

describe("MESSAGE-INTEGRITY-SHA256", () => {
  test.each([16, 20, 24, 28, 32])("may be cut to %i bytes", (length) => {
    const bytes = sealWithSha256(encode(draft), length);
    expect(isIntact(bytes, key, "sha256")).toBe(true);
    expect(decode(bytes)?.attributes.messageIntegritySha256?.length).toBe(length);
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    expect(isIntact(bytes, key, "sha256")).toBe(false);
  });

  test.each([0, 4, 12, 17, 18, 31, 36])("may not have %i bytes", (length) => {
    expect(isIntact(sealWithSha256(encode(draft), length), key, "sha256")).toBe(false);
  });

  test("stands beside MESSAGE-INTEGRITY, each right for itself", () => {
    const both = sealWithSha256(encode(draft, { key }), 32);
    expect(isIntact(both, key, "sha1")).toBe(true);
    expect(isIntact(both, key, "sha256")).toBe(true);
    expect(decode(both)?.types.slice(-2)).toEqual([0x0008, 0x001c]);
  });
});
