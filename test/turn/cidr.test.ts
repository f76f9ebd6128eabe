import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatAddress, parseAddress } from "../../src/stun/address.ts";
import { contains, parseCidr } from "../../src/turn/cidr.ts";

function numberOf(bytes: Uint8Array): bigint {
  return bytes.reduce((number, byte) => number * 256n + BigInt(byte), 0n);
}

function bytesOf(number: bigint, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => Number((number >> BigInt((length - 1 - i) * 8)) & 255n));
}

/** An address, a prefix length, and another address that shares some of its bits. */
const cases = fc.constantFrom(4, 16).chain((length) =>
  fc.record({
    length: fc.constant(length),
    address: fc.bigInt(0n, (1n << BigInt(length * 8)) - 1n),
    bits: fc.nat(length * 8),
    flippedBit: fc.nat(length * 8),
  }),
);

describe("CIDR ranges", () => {
  test("contain what arithmetic says they contain", () => {
    fc.assert(
      fc.property(cases, ({ length, address, bits, flippedBit }) => {
        const shift = BigInt(length * 8 - bits);
        const network = (address >> shift) << shift;
        const cidr = parseCidr(`${formatAddress(bytesOf(network, length))}/${bits}`);
        if (!cidr) throw new Error("the range is one");
        const other = flippedBit === length * 8 ? address : address ^ (1n << BigInt(flippedBit));
        for (const candidate of [address, other, network]) {
          expect(contains(cidr, bytesOf(candidate, length))).toBe(candidate >> shift === network >> shift);
        }
      }),
      { numRuns: 5000 },
    );
  });

  test("are read only where no bit is set beyond the prefix", () => {
    fc.assert(
      fc.property(cases, ({ length, address, bits }) => {
        const shift = BigInt(length * 8 - bits);
        const isNetwork = (address >> shift) << shift === address;
        const cidr = parseCidr(`${formatAddress(bytesOf(address, length))}/${bits}`);
        expect(cidr !== undefined).toBe(isNetwork);
        if (cidr) expect(numberOf(cidr.prefix)).toBe(address);
      }),
      { numRuns: 2000 },
    );
  });

  test("may be one address", () => {
    const cidr = parseCidr("2001:db8::1");
    expect(cidr?.bits).toBe(128);
    expect(cidr && contains(cidr, parseAddress("2001:db8::1") ?? new Uint8Array())).toBe(true);
    expect(cidr && contains(cidr, parseAddress("2001:db8::2") ?? new Uint8Array())).toBe(false);
  });

  test("of one family contain no address of the other", () => {
    const everything = parseCidr("0.0.0.0/0");
    expect(everything && contains(everything, new Uint8Array(16))).toBe(false);
  });

  test.each([
    "",
    "/",
    "10.0.0.0/",
    "10.0.0.0/33",
    "10.0.0.0/-1",
    "10.0.0.0/08",
    "10.0.0.0/8/8",
    "10/8",
    "::/129",
    "::/1e1",
  ])("are not %j", (text) => {
    expect(parseCidr(text)).toBeUndefined();
  });
});
