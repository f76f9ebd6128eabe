// IPv4 addresses inside IPv6 addresses: what a packet sent to the outer one may end up at.

import { contains, parseCidr } from "./cidr.ts";

type Reading = (address: Uint8Array) => Uint8Array[];

const wrappings: readonly (readonly [range: string, read: Reading])[] = [
  // v4-compatible (RFC 4291 section 2.5.5.1). It holds :: and ::1 too, which wrap nothing.
  ["::/96", (address) => (isBelow2(address) ? [] : [address.subarray(12)])],
  // v4-mapped (RFC 4291 section 2.5.5.2).
  ["::ffff:0:0/96", (address) => [address.subarray(12)]],
  // v4-translated (RFC 2765 section 2.1).
  ["::ffff:0:0:0/96", (address) => [address.subarray(12)]],
  // NAT64 (RFC 6052 section 2.1).
  ["64:ff9b::/96", (address) => [address.subarray(12)]],
  // NAT64 of a local prefix (RFC 8215), whose length we do not know: /48 or /96 (RFC 6052 section 2.2).
  ["64:ff9b:1::/48", (address) => [pick(address, 6, 7, 9, 10), address.subarray(12)].filter(isNotZero)],
  // 6to4 (RFC 3056 section 2).
  ["2002::/16", (address) => [address.subarray(2, 6)]],
  // Teredo (RFC 4380 section 4): the server, and the client with every bit turned.
  ["2001::/32", (address) => [address.subarray(4, 8), address.subarray(12).map((byte) => byte ^ 0xff)]],
];

const compiled = wrappings.flatMap(([range, read]) => {
  const cidr = parseCidr(range);
  return cidr ? [{ cidr, read }] : [];
});

/** The IPv4 addresses, 4 bytes each, that the 16 bytes of an IPv6 address wrap. */
export function wrappedAddresses(address: Uint8Array): Uint8Array[] {
  if (address.length !== 16) return [];
  const inner = compiled.flatMap(({ cidr, read }) => (contains(cidr, address) ? read(address) : []));
  return isIsatap(address) ? [...inner, address.subarray(12)] : inner;
}

/** RFC 5214 section 6.1: the interface identifier is 0000:5efe or 0200:5efe and an IPv4 address, in any prefix. */
function isIsatap(address: Uint8Array): boolean {
  return (
    (address[8] === 0x00 || address[8] === 0x02) && address[9] === 0 && address[10] === 0x5e && address[11] === 0xfe
  );
}

function isBelow2(address: Uint8Array): boolean {
  return address.every((byte, i) => (i === 15 ? byte < 2 : byte === 0));
}

function isNotZero(address: Uint8Array): boolean {
  return address.some((byte) => byte !== 0);
}

function pick(address: Uint8Array, ...places: number[]): Uint8Array {
  return Uint8Array.from(places, (place) => address[place] ?? 0);
}
