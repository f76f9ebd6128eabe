import { describe, expect, test } from "vitest";
import { formatAddress, parseAddress } from "../../src/stun/address.ts";
import { type PeerPolicyOptions, peerPolicy } from "../../src/turn/peer-policy.ts";
import { forbiddenPeers } from "./forbidden-peers.ts";

const closed: PeerPolicyOptions = { allow: [], deny: [], loopback: false, listeners: [], relayAddresses: [] };

function policy(options: Partial<PeerPolicyOptions> = {}) {
  return peerPolicy({ ...closed, ...options });
}

function reaches(address: string, options: Partial<PeerPolicyOptions> = {}, port = 4000): boolean {
  return policy(options).mayReach({ address, port });
}

/** The IANA registries for IPv4 and IPv6 special-purpose addresses, every row, from memory. */
const registries = [
  ["0.0.0.0", "0.255.255.255"],
  ["10.0.0.0", "10.255.255.255"],
  ["100.64.0.0", "100.127.255.255"],
  ["127.0.0.0", "127.255.255.255"],
  ["169.254.0.0", "169.254.255.255"],
  ["172.16.0.0", "172.31.255.255"],
  ["192.0.0.0", "192.0.0.255"],
  ["192.0.0.8", "192.0.0.10"],
  ["192.0.0.170", "192.0.0.171"],
  ["192.0.2.0", "192.0.2.255"],
  ["192.31.196.0", "192.31.196.255"],
  ["192.52.193.0", "192.52.193.255"],
  ["192.88.99.0", "192.88.99.255"],
  ["192.168.0.0", "192.168.255.255"],
  ["192.175.48.0", "192.175.48.255"],
  ["198.18.0.0", "198.19.255.255"],
  ["198.51.100.0", "198.51.100.255"],
  ["203.0.113.0", "203.0.113.255"],
  ["240.0.0.0", "255.255.255.255"],
  ["::1", "::1"],
  ["::", "::"],
  ["::ffff:0.0.0.0", "::ffff:255.255.255.255"],
  ["64:ff9b::", "64:ff9b::ffff:ffff"],
  ["64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff"],
  ["100::", "100::ffff:ffff:ffff:ffff"],
  ["100:0:0:1::", "100::1:ffff:ffff:ffff:ffff"],
  ["2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"],
  ["2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff"],
  ["2001:1::1", "2001:1::3"],
  ["2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff"],
  ["2001:3::", "2001:3:ffff:ffff:ffff:ffff:ffff:ffff"],
  ["2001:4:112::", "2001:4:112:ffff:ffff:ffff:ffff:ffff"],
  ["2001:10::", "2001:1f:ffff:ffff:ffff:ffff:ffff:ffff"],
  ["2001:20::", "2001:2f:ffff:ffff:ffff:ffff:ffff:ffff"],
  ["2001:30::", "2001:3f:ffff:ffff:ffff:ffff:ffff:ffff"],
  ["2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"],
  ["2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
  ["2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff"],
  ["3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"],
  ["5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
  ["fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
  ["fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
  ["224.0.0.0", "239.255.255.255"],
  ["ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
] as const;

describe("the peer policy, by default", () => {
  test.each(registries)("denies the special-purpose range from %s to %s", (first, last) => {
    expect(reaches(first)).toBe(false);
    expect(reaches(last)).toBe(false);
  });

  test("denies sixty and more spellings of addresses that must not be reached, each spelled canonically", () => {
    expect(new Set(forbiddenPeers.map((peer) => peer.address)).size).toBeGreaterThanOrEqual(60);
    for (const { address, why } of forbiddenPeers) {
      const bytes = parseAddress(address);
      expect(bytes && formatAddress(bytes), why).toBe(address);
      expect(reaches(address), `${address}: ${why}`).toBe(false);
      expect(policy().mayPermit(address), `${address}: ${why}`).toBe(false);
    }
  });

  test.each([
    "1.0.0.0",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "168.63.129.15",
    "168.63.129.17",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2000::",
    "2001:200::1",
    "2001:db7:ffff::1",
    "2001:db9::1",
    "2001:4860:4860::8888",
    "2003::1",
    "2a00:1450::1",
    "2a00:1450::5efe:808:808",
    "2a00:1450::1:5efe:a00:1",
    "3ffe:ffff::1",
  ])("lets %s be reached", (address) => {
    expect(reaches(address)).toBe(true);
    expect(policy().mayPermit(address)).toBe(true);
  });

  test("never reaches port 0", () => {
    expect(reaches("8.8.8.8", {}, 0)).toBe(false);
    expect(policy().mayPermit("8.8.8.8", 0)).toBe(false);
    expect(policy().mayPermit("8.8.8.8", 1)).toBe(true);
  });

  test.each(["", "localhost", "127.1", "0x7f.0.0.1", "0177.0.0.1", "2130706433", "fe80::1%eth0", "8.8.8.8/0", "::g"])(
    "denies what is no address: %j",
    (address) => {
      expect(reaches(address)).toBe(false);
      expect(policy({ allow: ["0.0.0.0/0", "::/0"] }).mayPermit(address)).toBe(false);
    },
  );
});

describe("the operator's lists", () => {
  test("allow opens what is denied by default", () => {
    expect(reaches("10.1.2.3", { allow: ["10.1.0.0/16"] })).toBe(true);
    expect(reaches("10.2.2.3", { allow: ["10.1.0.0/16"] })).toBe(false);
    expect(reaches("fd00::1", { allow: ["fd00::/8"] })).toBe(true);
  });

  test("deny wins over allow", () => {
    const lists = { allow: ["10.0.0.0/8"], deny: ["10.1.0.0/16", "8.8.0.0/16"] };
    expect(reaches("10.2.0.1", lists)).toBe(true);
    expect(reaches("10.1.0.1", lists)).toBe(false);
    expect(reaches("8.8.8.8", lists)).toBe(false);
    expect(policy(lists).mayPermit("8.8.8.8")).toBe(false);
  });

  test("allowing a wrapping opens only what it may wrap", () => {
    const nat64 = { allow: ["64:ff9b::/96"] };
    expect(reaches("64:ff9b::808:808", nat64)).toBe(true);
    expect(reaches("64:ff9b::7f00:1", nat64)).toBe(false);
    expect(reaches("64:ff9b::a00:1", { allow: ["64:ff9b::/96", "10.0.0.0/8"] })).toBe(true);
    expect(reaches("64:ff9b::808:808", { ...nat64, deny: ["8.8.8.8/32"] })).toBe(false);
    expect(reaches("64:ff9b:1:808:8:800::", { allow: ["64:ff9b:1::/48"] })).toBe(true);
    expect(reaches("64:ff9b:1:7f00:0:100::", { allow: ["64:ff9b:1::/48"] })).toBe(false);
  });

  test("allowing private IPv4 addresses does not open their IPv6 spellings", () => {
    expect(reaches("::ffff:10.0.0.1", { allow: ["10.0.0.0/8"] })).toBe(false);
    expect(reaches("2002:a00:1::1", { allow: ["10.0.0.0/8"] })).toBe(false);
  });

  test("loopback opens loopback, plainly spelled, and nothing else", () => {
    const loopback = { loopback: true };
    expect(reaches("127.0.0.1", loopback)).toBe(true);
    expect(reaches("127.9.9.9", loopback)).toBe(true);
    expect(reaches("::1", loopback)).toBe(true);
    for (const { address, why } of forbiddenPeers) {
      if (address === "::1" || address.startsWith("127.")) continue;
      expect(reaches(address, loopback), `${address}: ${why}`).toBe(false);
    }
  });

  test("deny ports, alone or from one to another, of everybody and whatever is allowed", () => {
    const ports = {
      allow: ["8.8.8.8/32"],
      denyPorts: [
        [53, 53],
        [1000, 1023],
      ],
    } as const;
    expect([52, 53, 54, 999, 1000, 1023, 1024].filter((port) => reaches("8.8.8.8", ports, port))).toEqual([
      52, 54, 999, 1024,
    ]);
    expect(policy(ports).mayPermit("8.8.8.8", 53)).toBe(false);
    expect(policy(ports).mayPermit("8.8.8.8")).toBe(true);
  });

  test("a range that is none is our own fault", () => {
    expect(() => policy({ allow: ["10.0.0.1/8"] })).toThrow("not a CIDR range: 10.0.0.1/8");
  });
});

describe("our own addresses", () => {
  const here = { relayAddresses: ["5.6.7.8", "2a00::0005"], listeners: [{ address: "5.6.7.8", port: 3478 }] };

  test("may be permitted, since relayed addresses may talk to each other, but are not reached from outside", () => {
    expect(policy(here).mayPermit("5.6.7.8")).toBe(true);
    expect(policy(here).mayPermit("5.6.7.8", 50_000)).toBe(true);
    expect(policy(here).mayPermit("2a00::5", 50_000)).toBe(true);
    expect(reaches("5.6.7.8", here, 53)).toBe(false);
    expect(reaches("2a00::5", here, 53)).toBe(false);
  });

  test("are permitted even if they are private, but not if they are denied", () => {
    expect(policy({ relayAddresses: ["10.0.0.5"] }).mayPermit("10.0.0.5")).toBe(true);
    expect(policy({ relayAddresses: ["10.0.0.5"] }).mayPermit("::ffff:10.0.0.5")).toBe(false);
    expect(policy({ relayAddresses: ["10.0.0.5"], deny: ["10.0.0.0/8"] }).mayPermit("10.0.0.5")).toBe(false);
  });

  test("are reached where the operator allows them, for a service on the same host", () => {
    expect(reaches("5.6.7.8", { ...here, allow: ["5.6.7.8/32"] }, 10_000)).toBe(true);
  });

  test("never include a listener, whatever is allowed", () => {
    const open = { ...here, allow: ["0.0.0.0/0", "::/0"] };
    expect(reaches("5.6.7.8", open, 3478)).toBe(false);
    expect(policy(open).mayPermit("5.6.7.8", 3478)).toBe(false);
    expect(reaches("::ffff:5.6.7.8", open, 3478)).toBe(false);
    expect(reaches("::ffff:5.6.7.8", open, 3479)).toBe(true);
    expect(reaches("5.6.7.9", open, 3478)).toBe(true);
  });

  test.each(["0.0.0.0", "::"])("a listener at %s stands for its port at every relay and loopback address", (any) => {
    const open = { ...here, listeners: [{ address: any, port: 3478 }], allow: ["0.0.0.0/0", "::/0"], loopback: true };
    for (const address of ["5.6.7.8", "2a00::5", "127.0.0.1", "127.0.0.9", "::1"]) {
      expect(reaches(address, open, 3478), address).toBe(false);
      expect(reaches(address, open, 3479), address).toBe(true);
    }
    expect(reaches("8.8.8.8", open, 3478)).toBe(true);
  });

  test("are remembered per address without mixing up ports, however many addresses are asked", () => {
    const one = policy(here);
    for (let i = 0; i < 10_000; i++) one.mayReach({ address: `7.7.${i >> 8}.${i & 255}`, port: 1 });
    expect(one.mayPermit("5.6.7.8", 3478)).toBe(false);
    expect(one.mayPermit("5.6.7.8", 3479)).toBe(true);
  });
});
