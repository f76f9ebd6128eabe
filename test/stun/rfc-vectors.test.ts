// The published test vectors: RFC 5769 sections 2.1 to 2.4 and RFC 8489 appendix B.1.

import { createHmac } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { Attributes } from "../../src/stun/attributes.ts";
import { isIntact } from "../../src/stun/integrity.ts";
import { longTermKey, userhash } from "../../src/stun/keys.ts";
import { decode, encode, type Message } from "../../src/stun/message.ts";
import { Method } from "../../src/stun/methods.ts";

const ascii = (text: string) => Buffer.from(text).toString("hex");

const iceTransaction = "b7e7a701bc34d686fa87dfae";
const longTermTransaction = "78ad3433c6ad72c029da412e";
const icePassword = Buffer.from("VOkJxbRl1RmTxUk/WvJxBt");
const matrix = "\u30de\u30c8\u30ea\u30c3\u30af\u30b9";

const sampleRequest = vector(
  `00010058 2112a442 ${iceTransaction}`,
  `80220010 ${ascii("STUN test client")}`,
  "00240004 6e0001ff",
  "80290008 932ff9b151263b36",
  `00060009 ${ascii("evtj:h6vY")} 202020`,
  "00080014 9aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2",
  "80280004 e57a3bcf",
);

const sampleIpv4Response = vector(
  `0101003c 2112a442 ${iceTransaction}`,
  `8022000b ${ascii("test vector")} 20`,
  "00200008 0001a147e112a643",
  "00080014 2b91f599fd9e90c38c7489f92af9ba53f06be7d7",
  "80280004 c07d4c96",
);

const sampleIpv6Response = vector(
  `01010048 2112a442 ${iceTransaction}`,
  `8022000b ${ascii("test vector")} 20`,
  "00200014 0002a1470113a9faa5d3f179bc25f4b5bed2b9d9",
  "00080014 a382954e4be67bf11784c97c8292c275bfe3ed41",
  "80280004 c8fb0b4c",
);

const sampleLongTermRequest = vector(
  `00010060 2112a442 ${longTermTransaction}`,
  `00060012 ${ascii(matrix)} 0000`,
  `0015001c ${ascii("f//499k954d6OL34oL9FSTvy64sA")}`,
  `0014000b ${ascii("example.org")} 00`,
  "00080014 f67024656dd64a3e02b8e0712e85c9a28ca89666",
);

const sampleSha256Request = vector(
  `0001009c 2112a442 ${longTermTransaction}`,
  "001e0020 4a3cf38fef6992bda952c6780417da0f24819415569e60b205c46e41407f1704",
  `00150029 ${ascii("obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA")} 000000`,
  `0014000b ${ascii("example.org")} 00`,
  "001c0020 e4686c8f0edeb59013e07090010a93efccbccc544c0a45d9f830aa6d6f735a01",
);

function vector(...lines: string[]): Buffer {
  return Buffer.from(lines.join("").replaceAll(" ", ""), "hex");
}

function read(bytes: Uint8Array): Message {
  const message = decode(bytes);
  if (!message) throw new Error("not a STUN message");
  return message;
}

function withoutSeals(attributes: Attributes): Attributes {
  const { messageIntegrity, messageIntegritySha256, fingerprint, ...rest } = attributes;
  return rest;
}

describe("RFC 5769", () => {
  test("2.1: a request is read, though its padding is not zero", () => {
    const message = read(sampleRequest);
    expect(message).toMatchObject({ class: "request", method: Method.binding, classic: false, malformed: [] });
    expect(Buffer.from(message.transactionId).toString("hex")).toBe(iceTransaction);
    expect(withoutSeals(message.attributes)).toEqual({
      software: "STUN test client",
      priority: 0x6e0001ff,
      iceControlled: 0x932ff9b151263b36n,
      username: "evtj:h6vY",
    });
    expect(message.types).toEqual([0x8022, 0x0024, 0x8029, 0x0006, 0x0008, 0x8028]);
    expect(isIntact(sampleRequest, icePassword)).toBe(true);
    expect(isIntact(sampleRequest, Buffer.from("VOkJxbRl1RmTxUk/WvJxBT"))).toBe(false);
  });

  test("2.2: a success response with an IPv4 address is read", () => {
    const message = read(sampleIpv4Response);
    expect(message).toMatchObject({ class: "success", method: Method.binding });
    expect(withoutSeals(message.attributes)).toEqual({
      software: "test vector",
      xorMappedAddress: { address: "192.0.2.1", port: 32853 },
    });
    expect(isIntact(sampleIpv4Response, icePassword)).toBe(true);
  });

  test("2.3: a success response with an IPv6 address is read", () => {
    const message = read(sampleIpv6Response);
    expect(withoutSeals(message.attributes)).toEqual({
      software: "test vector",
      xorMappedAddress: { address: "2001:db8:1234:5678:11:2233:4455:6677", port: 32853 },
    });
    expect(isIntact(sampleIpv6Response, icePassword)).toBe(true);
  });

  test("2.4: a request with long-term credentials is read, and written byte for byte", () => {
    const key = longTermKey(matrix, "example.org", "TheMatrIX");
    const message = read(sampleLongTermRequest);
    expect(withoutSeals(message.attributes)).toEqual({
      username: matrix,
      nonce: "f//499k954d6OL34oL9FSTvy64sA",
      realm: "example.org",
    });
    expect(isIntact(sampleLongTermRequest, key)).toBe(true);
    expect(encode(message, { key })).toEqual(sampleLongTermRequest);
  });

  test.each([
    ["2.1", sampleRequest, icePassword],
    ["2.2", sampleIpv4Response, icePassword],
    ["2.3", sampleIpv6Response, icePassword],
  ])("%s: written again, only the padding and what covers it differ", (_section, bytes, key) => {
    const written = encode(read(bytes), { key, fingerprint: true });
    expect(written.length).toBe(bytes.length);
    expect(isIntact(written, key)).toBe(true);
    expect(withoutSeals(read(written).attributes)).toEqual(withoutSeals(read(bytes).attributes));
    const differing = [...written.keys()].filter((i) => written[i] !== bytes[i]);
    const padding = [...bytes.keys()].filter((i) => bytes[i] === 0x20 && written[i] === 0);
    const sealsFrom = bytes.length - 32;
    expect(differing.filter((i) => i < sealsFrom)).toEqual(padding.filter((i) => i < sealsFrom));
  });

  test.each([
    ["2.1", sampleRequest],
    ["2.2", sampleIpv4Response],
    ["2.3", sampleIpv6Response],
  ])("%s: with any one bit flipped no FINGERPRINT is right", (_section, bytes) => {
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Buffer.from(bytes);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      // A flip in an attribute's type or length can hide FINGERPRINT; it cannot make it right.
      expect(decode(flipped)?.attributes.fingerprint, `bit ${bit}`).toBeUndefined();
    }
  });
});

// The length in the published header counts the header too (0x9c for 0x88), and the HMAC was made over that.
describe("RFC 8489 appendix B.1", () => {
  const key = longTermKey(matrix, "example.org", "TheMatrIX", "sha256");
  const corrected = Buffer.from(sampleSha256Request);
  corrected.writeUInt16BE(corrected.length - 20, 2);

  test("the published HMAC is right for the published header", () => {
    const covered = sampleSha256Request.subarray(0, -36);
    const hmac = createHmac("sha256", key).update(covered).digest();
    expect(hmac).toEqual(sampleSha256Request.subarray(-32));
  });

  test("with the length corrected, the request is read", () => {
    const message = read(corrected);
    expect(withoutSeals(message.attributes)).toEqual({
      userhash: userhash(matrix, "example.org"),
      nonce: "obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA",
      realm: "example.org",
    });
    expect(message.attributes.messageIntegritySha256).toEqual(corrected.subarray(-32));
  });

  test("with the length corrected, it is written byte for byte but for the HMAC, which is right", () => {
    const written = encode(read(corrected), { key, algorithm: "sha256" });
    expect(written.subarray(0, -32)).toEqual(corrected.subarray(0, -32));
    const hmac = createHmac("sha256", key).update(written.subarray(0, -36)).digest();
    expect(written.subarray(-32)).toEqual(hmac);
    expect(isIntact(written, key, "sha256")).toBe(true);
  });
});
