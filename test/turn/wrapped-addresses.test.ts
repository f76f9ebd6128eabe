// Most wrappings are denied by default whatever they wrap, so that only an operator who allows one finds out whether it
// is unwrapped: here it is shown for each.

import { expect, test } from "vitest";
import { formatAddress, parseAddress } from "../../src/stun/address.ts";
import { peerPolicy } from "../../src/turn/peer-policy.ts";
import { wrappedAddresses } from "../../src/turn/wrapped-addresses.ts";

const wrappings = [
  ["v4-compatible", "::a01:203", ["10.1.2.3"]],
  ["v4-mapped", "::ffff:10.1.2.3", ["10.1.2.3"]],
  ["v4-translated", "::ffff:0:a01:203", ["10.1.2.3"]],
  ["NAT64", "64:ff9b::a01:203", ["10.1.2.3"]],
  ["local NAT64 of 48 bits", "64:ff9b:1:a01:2:300::", ["10.1.2.3"]],
  ["local NAT64 of 96 bits", "64:ff9b:1::a01:203", ["10.1.2.3"]],
  ["6to4", "2002:a01:203::1", ["10.1.2.3"]],
  ["Teredo, server and client", "2001:0:a01:203::f5fe:fdfb", ["10.1.2.3", "10.1.2.4"]],
  ["ISATAP", "2a00::5efe:a01:203", ["10.1.2.3"]],
  ["ISATAP, universal", "2a00::200:5efe:a01:203", ["10.1.2.3"]],
  ["nothing: unspecified", "::", []],
  ["nothing: loopback", "::1", []],
  ["nothing: any other", "2a00::1", []],
  ["nothing: IPv4", "10.1.2.3", []],
] as const;

test.each(wrappings)("%s in %s", (_, address, inner) => {
  expect(wrappedAddresses(parseAddress(address) ?? new Uint8Array()).map(formatAddress)).toEqual(inner);
});

test.each(wrappings.filter(([, , inner]) => inner.length > 0))(
  "to allow every IPv6 address does not open %s",
  (_, address) => {
    const options = { deny: [], loopback: false, listeners: [], relayAddresses: [] };
    const peer = { address, port: 4000 };
    expect(peerPolicy({ ...options, allow: ["::/0"] }).mayReach(peer)).toBe(false);
    expect(peerPolicy({ ...options, allow: ["::/0", "10.0.0.0/8"] }).mayReach(peer)).toBe(true);
  },
);
