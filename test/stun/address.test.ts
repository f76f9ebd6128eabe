import { isIP, isIPv4 } from "node:net";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatAddress, hostOf, parseAddress } from "../../src/stun/address.ts";

function canonical(text: string): string | undefined {
  const bytes = parseAddress(text);
  return bytes && formatAddress(bytes);
}

describe("the canonical text of an address", () => {
  test.each([
    ["192.0.2.1", "192.0.2.1"],
    ["0.0.0.0", "0.0.0.0"],
    ["255.255.255.255", "255.255.255.255"],
    ["2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["2001:db8:0:0:0:0:2:1", "2001:db8::2:1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["2001:0db8::0001", "2001:db8::1"],
    ["0:0:0:0:0:0:0:0", "::"],
    ["0:0:0:0:0:0:0:1", "::1"],
    ["1:0:0:0:0:0:0:0", "1::"],
    ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
    ["::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"],
    ["::ffff:192.0.2.1", "::ffff:192.0.2.1"],
    ["::FFFF:c000:0201", "::ffff:192.0.2.1"],
    ["::192.0.2.1", "::c000:201"],
    ["64:ff9b::192.0.2.1", "64:ff9b::c000:201"],
    ["1:2:3:4:5:6:192.0.2.1", "1:2:3:4:5:6:c000:201"],
  ])("of %s is %s", (text, expected) => {
    expect(canonical(text)).toBe(expected);
    expect(canonical(expected)).toBe(expected);
  });
});

describe("what is no address", () => {
  test.each([
    "",
    ".",
    "1.2.3",
    "1.2.3.4.5",
    "1.2.3.4.",
    ".1.2.3.4",
    "1..3.4",
    "256.0.0.1",
    "01.2.3.4",
    "00.0.0.0",
    "1.2.3.4 ",
    " 1.2.3.4",
    "+1.2.3.4",
    "0x7f.0.0.1",
    "2130706433",
    "127.1",
    "1.2.3.4/32",
    "1.2.3.\u0664",
    "localhost",
    ":",
    ":::",
    "1::2::3",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7:8::",
    "::1:2:3:4:5:6:7:8",
    "1:",
    ":1",
    "12345::",
    "g::",
    "fe80::1%eth0",
    "[::1]",
    "::1/128",
    "1.2.3.4::",
    "::1.2.3.4:5",
    "::1.2.3",
    "::01.2.3.4",
    "1:2:3:4:5:6:7:1.2.3.4",
    "99999999999999999999.0.0.1",
  ])("%j", (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });
});

describe("against node:net", () => {
  test("any text is an address to both or to neither, zones apart", () => {
    const looksLikeOne = fc.string({ unit: fc.constantFrom(..."0123456789abcdefF:.:.:"), maxLength: 45 });
    const mutated = fc
      .tuple(fc.oneof(fc.ipV4(), fc.ipV6()), fc.nat(44), fc.constantFrom("", ":", "::", ".", "0", "g"))
      .map(([text, at, inserted]) => text.slice(0, at) + inserted + text.slice(at + 1));
    fc.assert(
      fc.property(fc.oneof(looksLikeOne, mutated, fc.ipV4(), fc.ipV6()), (text) => {
        expect(parseAddress(text) !== undefined, text).toBe(isIP(text) !== 0);
      }),
      { numRuns: 5000 },
    );
  });

  test("any bytes make a text that reads back as them", () => {
    const sparse = fc.array(fc.constantFrom(0, 0, 0, 1, 0xff), { minLength: 16, maxLength: 16 });
    const bytes = fc.oneof(
      fc.uint8Array({ minLength: 4, maxLength: 4 }),
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
      sparse.map((values) => Uint8Array.from(values)),
    );
    fc.assert(
      fc.property(bytes, (bytes) => {
        const text = formatAddress(bytes);
        expect(parseAddress(text)).toEqual(Uint8Array.from(bytes));
        expect(isIP(text)).toBe(bytes.length === 4 ? 4 : 6);
        if (!isIPv4(text) && !text.includes(".")) expect(new URL(`http://[${text}]`).hostname).toBe(`[${text}]`);
      }),
      { numRuns: 2000 },
    );
  });
});

test.each([
  ["192.0.2.1", "192.0.2.2", false],
  ["2001:db8:0:1::1", "2001:db8:0:1:ffff::", true],
  ["2001:db8:0:1::1", "2001:db8:0:2::1", false],
])("%s and %s are of one host: %s", (one, other, isSame) => {
  expect(hostOf(one) === hostOf(other)).toBe(isSame);
});
