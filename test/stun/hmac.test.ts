import { createHmac } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { hmac } from "../../src/stun/hmac.ts";

describe.each(["sha1", "sha256"] as const)("HMAC by %s", (algorithm) => {
  test("is that of node:crypto, whatever the key and however the message is cut", () => {
    const bytes = fc.uint8Array({ maxLength: 300 });
    fc.assert(
      fc.property(bytes, fc.array(bytes, { maxLength: 4 }), (key, parts) => {
        const expected = createHmac(algorithm, key).update(Buffer.concat(parts)).digest();
        expect(hmac(algorithm, key, ...parts)).toEqual(expected);
      }),
      { numRuns: 500 },
    );
  });

  test.each([0, 1, 20, 32, 63, 64, 65, 128])("is that of node:crypto for a key of %d bytes", (length) => {
    const [key, message] = [Buffer.alloc(length, 0x5c), Buffer.from("message")];
    expect(hmac(algorithm, key, message)).toEqual(createHmac(algorithm, key).update(message).digest());
  });
});
