import { describe, expect, test } from "vitest";
import { fingerprintAt } from "../../src/stun/fingerprint.ts";
import { brokenList, decode, encode } from "../../src/stun/message.ts";
import { Method } from "../../src/stun/methods.ts";

const transactionId = Buffer.from("0102030405060708090a0b0c", "hex");
const classicTransactionId = Buffer.from("000102030405060708090a0b0c0d0e0f", "hex");
const key = Buffer.from("secret");

/** A request made of attributes given in hexadecimal, header and padding included. */
function request(...attributes: string[]): Buffer {
  const body = Buffer.from(attributes.join("").replaceAll(" ", ""), "hex");
  const header = Buffer.from("000100002112a442", "hex");
  header.writeUInt16BE(body.length, 2);
  return Buffer.concat([header, transactionId, body]);
}

const integrity = `00080014 ${"00".repeat(20)}`;
const integritySha256 = `001c0020 ${"00".repeat(32)}`;
const lifetime = (seconds: number) => `000d0004 ${seconds.toString(16).padStart(8, "0")}`;
const dontFragment = "001a0000";
const channelNumber = "000c0004 40000000";

describe("decode takes", () => {
  test("a header alone", () => {
    expect(decode(request())).toEqual({
      class: "request",
      method: Method.binding,
      transactionId,
      classic: false,
      attributes: {},
      types: [],
      malformed: [],
    });
  });

  test("every class and method", () => {
    const taken = new Set<number>();
    for (const messageClass of ["request", "indication", "success", "error"] as const) {
      for (let method = 0; method <= 0xfff; method++) {
        const bytes = Buffer.from(encode({ class: messageClass, method, transactionId, attributes: {} }));
        const message = decode(bytes);
        if (message?.class === messageClass && message.method === method) taken.add(bytes.readUInt16BE(0));
      }
    }
    expect(taken.size).toBe(0x4000);
  });

  test("the types that RFC 8489 and RFC 8656 print", () => {
    const typeOf = (messageClass: "request" | "indication" | "success" | "error", method: number) =>
      Buffer.from(encode({ class: messageClass, method, transactionId, attributes: {} })).readUInt16BE(0);
    expect(typeOf("request", Method.binding)).toBe(0x0001);
    expect(typeOf("indication", Method.binding)).toBe(0x0011);
    expect(typeOf("success", Method.binding)).toBe(0x0101);
    expect(typeOf("error", Method.allocate)).toBe(0x0113);
    expect(typeOf("indication", Method.send)).toBe(0x0016);
    expect(typeOf("success", 0xfff)).toBe(0x3fef);
  });

  test("a plain Uint8Array in the middle of a larger buffer", () => {
    const bytes = request(lifetime(600));
    const larger = new Uint8Array(bytes.length + 10).fill(0xff);
    larger.set(bytes, 5);
    expect(decode(larger.subarray(5, 5 + bytes.length))?.attributes).toEqual({ lifetime: 600 });
  });

  test("attributes that it does not know, and says so", () => {
    const message = decode(request("7abc0003 01020300", lifetime(1), "fabc0000"));
    expect(message).toMatchObject({ attributes: { lifetime: 1 }, types: [0x7abc, 0x000d, 0xfabc], malformed: [] });
  });

  test("reserved bits that are not zero", () => {
    expect(decode(request("000c0004 4001ffff"))?.attributes).toEqual({ channelNumber: 0x4001 });
    expect(decode(request("00190004 11ffffff"))?.attributes).toEqual({ requestedTransport: 17 });
    expect(decode(request("00180001 ffffffff"))?.attributes).toEqual({ evenPort: { reservesNext: true } });
    expect(decode(request("00180001 7fffffff"))?.attributes).toEqual({ evenPort: { reservesNext: false } });
    expect(decode(request("00010008 ff011234 c0000201"))?.attributes).toEqual({
      mappedAddress: { address: "192.0.2.1", port: 0x1234 },
    });
    expect(decode(request("00090004 ffffff00"))?.malformed).toEqual([0x0009]);
    expect(decode(request("00090004 fffffc08"))?.attributes).toEqual({ errorCode: { code: 408, reason: "" } });
  });

  test("a RESPONSE-PORT whose length counts its padding, and one whose does not", () => {
    expect(decode(request("00270004 12340000"))?.attributes).toEqual({ responsePort: 0x1234 });
    expect(decode(request("00270002 12340000"))?.attributes).toEqual({ responsePort: 0x1234 });
  });
});

describe("decode refuses", () => {
  test.each([
    ["nothing", ""],
    ["half a header", "000100002112a442"],
    ["two first bits that are not zero", `40010000 2112a442 ${"00".repeat(12)}`],
    ["a length that is no multiple of four", `00010002 2112a442 ${"00".repeat(14)}`],
    ["a length beyond the end", `00010004 2112a442 ${"00".repeat(12)}`],
    ["a length before the end", `00010000 2112a442 ${"00".repeat(16)}`],
    ["a method that RFC 3489 had not, without the cookie", `00030000 ${"00".repeat(16)}`],
  ])("%s", (_what, hex) => {
    expect(decode(Buffer.from(hex.replaceAll(" ", ""), "hex"))).toBeUndefined();
  });

  test("a FINGERPRINT that is wrong, has another length, or is not last", () => {
    const right = Buffer.from(
      encode({ class: "request", method: 1, transactionId, attributes: { lifetime: 5 } }, { fingerprint: true }),
    );
    expect(decode(right)?.types).toEqual([0x000d, 0x8028]);
    const wrong = Buffer.from(right);
    wrong[27] = 6;
    expect(decode(wrong)).toBeUndefined();
    expect(decode(request("80280000"))).toBeUndefined();
    const shorter = request("80280003 00000000");
    shorter.writeUInt32BE(fingerprintAt(shorter, 20), 24);
    expect(decode(shorter)).toBeUndefined();
    const followed = request("80280004 00000000", dontFragment);
    followed.writeUInt32BE(fingerprintAt(followed, 20), 24);
    expect(decode(followed)).toBeUndefined();
    const last = request(dontFragment, "80280004 00000000");
    last.writeUInt32BE(fingerprintAt(last, 24), 28);
    expect(decode(last)?.types).toEqual([0x001a, 0x8028]);
  });
});

describe("what follows an integrity attribute", () => {
  test("is ignored after MESSAGE-INTEGRITY, malformed or not", () => {
    const message = decode(request(lifetime(600), integrity, channelNumber, lifetime(1), "00120001 00000000"));
    expect(message?.attributes).toEqual({ lifetime: 600, messageIntegrity: Buffer.alloc(20) });
    expect(message?.types).toEqual([0x000d, 0x0008]);
    expect(message?.malformed).toEqual([]);
  });

  test("is ignored after MESSAGE-INTEGRITY-SHA256, MESSAGE-INTEGRITY included", () => {
    const message = decode(request(integritySha256, integrity, channelNumber));
    expect(message?.types).toEqual([0x001c]);
  });

  test("counts if it is MESSAGE-INTEGRITY-SHA256 after MESSAGE-INTEGRITY, or FINGERPRINT", () => {
    const message = decode(request(integrity, channelNumber, integritySha256, channelNumber, integritySha256));
    expect(message?.types).toEqual([0x0008, 0x001c]);
    const bytes = encode({ class: "request", method: 1, transactionId, attributes: {} }, { key, fingerprint: true });
    expect(decode(bytes)?.types).toEqual([0x0008, 0x8028]);
  });

  test("is ignored even if the integrity attribute itself is malformed", () => {
    const message = decode(request("00080004 00000000", channelNumber));
    expect(message).toMatchObject({ attributes: {}, types: [0x0008], malformed: [0x0008] });
  });
});

describe("attributes that occur more than once", () => {
  test("count where they come first", () => {
    expect(decode(request(lifetime(1), lifetime(2), "000d0000"))).toMatchObject({
      attributes: { lifetime: 1 },
      types: [0x000d, 0x000d, 0x000d],
      malformed: [],
    });
  });

  test("count all where the row repeats", () => {
    const peers = [
      { address: "192.0.2.1", port: 1 },
      { address: "2001:db8::2", port: 2 },
      { address: "192.0.2.3", port: 3 },
    ];
    const bytes = encode({
      class: "request",
      method: Method.createPermission,
      transactionId,
      attributes: { xorPeerAddress: peers, lifetime: 1 },
    });
    expect(decode(bytes)?.attributes).toEqual({ xorPeerAddress: peers, lifetime: 1 });
    expect(decode(bytes)?.types).toEqual([0x0012, 0x0012, 0x0012, 0x000d]);
  });

  test("are malformed if the first is, whatever comes later", () => {
    expect(decode(request("000d0000", lifetime(2)))).toMatchObject({ attributes: {}, malformed: [0x000d] });
  });

  test("may come by the thousands", () => {
    const many = Buffer.concat([request().subarray(0, 20), Buffer.alloc(65_532)]);
    many.writeUInt16BE(65_532, 2);
    expect(decode(many)?.types.length).toBe(65_532 / 4);
    for (let at = 20; at < many.length; at += 4) many.writeUInt16BE(0x0012, at);
    expect(decode(many)?.malformed).toEqual([0x0012]);
  });
});

describe("a value that cannot be read makes its type malformed", () => {
  test.each([
    ["LIFETIME of three bytes", "000d0003 00000000", 0x000d],
    ["LIFETIME of eight bytes", "000d0008 0000000000000000", 0x000d],
    ["CHANNEL-NUMBER of two bytes", "000c0002 40000000", 0x000c],
    ["an address of no family", "00120008 00031234 c0000201", 0x0012],
    ["an IPv6 address with four bytes", "00120008 00021234 c0000201", 0x0012],
    ["an IPv4 address with sixteen bytes", `00120014 00011234 ${"00".repeat(16)}`, 0x0012],
    ["an address without bytes", "00200000", 0x0020],
    ["USERNAME that is not UTF-8", "00060004 c3280000", 0x0006],
    ["USERNAME with a surrogate", "00060003 eda08000", 0x0006],
    ["REALM of 764 bytes", `001402fc ${"61".repeat(764)}`, 0x0014],
    ["ERROR-CODE of three bytes", "00090003 00000400", 0x0009],
    ["ERROR-CODE of class 2", "00090004 00000200", 0x0009],
    ["ERROR-CODE with number 100", "00090004 00000464", 0x0009],
    ["DONT-FRAGMENT with a value", "001a0004 00000000", 0x001a],
    ["EVEN-PORT of four bytes", "00180004 80000000", 0x0018],
    ["RESERVATION-TOKEN of seven bytes", "00220007 0000000000000000", 0x0022],
    ["MESSAGE-INTEGRITY of 24 bytes", `00080018 ${"00".repeat(24)}`, 0x0008],
    ["MESSAGE-INTEGRITY-SHA256 of 12 bytes", `001c000c ${"00".repeat(12)}`, 0x001c],
    ["MESSAGE-INTEGRITY-SHA256 of 18 bytes", `001c0012 ${"00".repeat(20)}`, 0x001c],
    ["UNKNOWN-ATTRIBUTES of three bytes", "000a0003 00010000", 0x000a],
    ["PASSWORD-ALGORITHM cut short", "001d0002 00010000", 0x001d],
    ["PASSWORD-ALGORITHM with parameters beyond its end", "001d0004 00010001", 0x001d],
    ["two PASSWORD-ALGORITHM in one", "001d0008 0001000000020000", 0x001d],
    ["ADDRESS-ERROR-CODE for no family", "80010004 03000428", 0x8001],
  ])("%s", (_what, hex, type) => {
    expect(decode(request("80220001 61000000", hex))).toMatchObject({
      attributes: { software: "a" },
      types: [0x8022, type],
      malformed: [type],
    });
  });

  test.each([
    ["an attribute that ends beyond it", "000d0004"],
    ["an attribute whose padding ends beyond it", "80220005 41414141"],
    ["an attribute that would end beyond any message", "0006ffff 41414141"],
  ])("a list that runs past the end of the message: %s", (_what, hex) => {
    expect(decode(request("80220001 61000000", hex))).toMatchObject({
      attributes: { software: "a" },
      types: [0x8022],
      malformed: [brokenList],
    });
  });

  test("but not an address family that we do not know, which is another error", () => {
    expect(decode(request("00170004 03000000"))).toMatchObject({
      attributes: { requestedAddressFamily: "unknown" },
      malformed: [],
    });
  });
});

describe("text", () => {
  test("may be of 763 bytes, and hold U+FFFD where it was sent", () => {
    const realm = `${"\ufffd".repeat(254)}a`;
    expect(Buffer.byteLength(realm)).toBe(763);
    const bytes = encode({ class: "request", method: 1, transactionId, attributes: { realm } });
    expect(decode(bytes)?.attributes).toEqual({ realm });
  });

  test("keeps a byte order mark and a zero", () => {
    const username = "\ufeffa\0b";
    const bytes = encode({ class: "request", method: 1, transactionId, attributes: { username } });
    expect(decode(bytes)?.attributes).toEqual({ username });
  });
});

describe("a classic message", () => {
  test("is told by the missing cookie and has sixteen bytes of transaction id", () => {
    const bytes = Buffer.concat([Buffer.from("00010000", "hex"), classicTransactionId]);
    expect(decode(bytes)).toMatchObject({ class: "request", method: 1, classic: true });
    expect(decode(bytes)?.transactionId).toEqual(classicTransactionId);
  });

  test("is answered with the whole transaction id and a plain address", () => {
    const bytes = encode({
      class: "success",
      method: Method.binding,
      transactionId: classicTransactionId,
      classic: true,
      attributes: { mappedAddress: { address: "192.0.2.1", port: 3478 } },
    });
    const expected = `0101000c ${classicTransactionId.toString("hex")} 00010008 00010d96 c0000201`;
    expect(Buffer.from(bytes).toString("hex")).toBe(expected.replaceAll(" ", ""));
  });
});

describe("encode", () => {
  test("writes attributes in the order of their keys, leaves out those that are undefined, and pads with zeros", () => {
    const bytes = encode({
      class: "error",
      method: Method.allocate,
      transactionId,
      attributes: {
        nonce: "abcde",
        software: undefined,
        errorCode: { code: 438, reason: "Stale Nonce" },
        realm: "r",
        evenPort: { reservesNext: true },
        unknownAttributes: [0x0002, 0x7fff, 0x0030],
      },
    });
    const expected = [
      "0113003c 2112a442 0102030405060708090a0b0c",
      "00150005 6162636465000000",
      "0009000f 00000426 5374616c65204e6f6e6365 00",
      "00140001 72000000",
      "00180001 80000000",
      "000a0006 00027fff0030 0000",
    ];
    expect(Buffer.from(bytes).toString("hex")).toBe(expected.join("").replaceAll(" ", ""));
  });

  test("never lets old memory show through padding or reserved bytes", () => {
    for (let i = 0; i < 200; i++) Buffer.allocUnsafe(64).fill(0xff);
    const bytes = encode({
      class: "success",
      method: 1,
      transactionId: Buffer.alloc(12),
      attributes: { channelNumber: 0, data: Buffer.alloc(1), requestedTransport: 0, evenPort: { reservesNext: false } },
    });
    const ones = [...bytes.subarray(20)].filter((byte) => byte === 0xff);
    expect(ones).toEqual([]);
  });

  test("does not take seals from a decoded message", () => {
    const sealed = decode(
      encode({ class: "request", method: 1, transactionId, attributes: { lifetime: 1 } }, { key, fingerprint: true }),
    );
    expect(sealed?.types).toEqual([0x000d, 0x0008, 0x8028]);
    expect(sealed && decode(encode(sealed))?.types).toEqual([0x000d]);
  });

  test.each([
    ["an address in words", { xorMappedAddress: { address: "localhost", port: 1 } }],
    ["a port beyond 65535", { mappedAddress: { address: "192.0.2.1", port: 65_536 } }],
    ["text beyond 763 bytes", { software: "a".repeat(764) }],
    ["a token of seven bytes", { reservationToken: Buffer.alloc(7) }],
    ["an unknown address family", { requestedAddressFamily: "unknown" as const }],
    ["an error code of class 7", { errorCode: { code: 700, reason: "" } }],
  ])("refuses %s, for that is a fault of ours", (_what, attributes) => {
    expect(() => encode({ class: "request", method: 1, transactionId, attributes })).toThrow();
  });

  test("refuses a transaction id of the wrong length", () => {
    const draft = { class: "request", method: 1, attributes: {} } as const;
    expect(() => encode({ ...draft, transactionId: classicTransactionId })).toThrow();
    expect(() => encode({ ...draft, transactionId, classic: true })).toThrow();
  });
});
