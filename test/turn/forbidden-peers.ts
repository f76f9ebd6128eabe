// Addresses that no client may reach by default, in every spelling that an IP packet knows. Data, for tests of the
// machine and of the wire.

export interface ForbiddenPeer {
  /** Canonical text. */
  readonly address: string;
  readonly why: string;
}

const plain: readonly ForbiddenPeer[] = [
  { address: "0.0.0.0", why: "unspecified: the host itself" },
  { address: "0.1.2.3", why: "this network" },
  { address: "10.0.0.1", why: "private" },
  { address: "10.255.255.255", why: "private" },
  { address: "100.64.0.1", why: "shared by carriers" },
  { address: "100.100.100.200", why: "Alibaba's metadata" },
  { address: "127.0.0.1", why: "loopback" },
  { address: "127.0.0.53", why: "loopback: the stub resolver" },
  { address: "127.255.255.254", why: "loopback" },
  { address: "168.63.129.16", why: "Azure's metadata" },
  { address: "169.254.0.1", why: "link-local" },
  { address: "169.254.169.254", why: "cloud metadata" },
  { address: "172.16.0.1", why: "private" },
  { address: "172.31.255.255", why: "private" },
  { address: "192.0.0.1", why: "protocol assignments" },
  { address: "192.0.0.192", why: "Oracle's metadata" },
  { address: "192.0.2.1", why: "documentation" },
  { address: "192.31.196.1", why: "AS112" },
  { address: "192.52.193.1", why: "AMT" },
  { address: "192.88.99.1", why: "6to4 relay" },
  { address: "192.168.0.1", why: "private" },
  { address: "192.168.255.255", why: "private" },
  { address: "192.175.48.1", why: "AS112" },
  { address: "198.18.0.1", why: "benchmarking" },
  { address: "198.19.255.255", why: "benchmarking" },
  { address: "198.51.100.1", why: "documentation" },
  { address: "203.0.113.1", why: "documentation" },
  { address: "224.0.0.1", why: "multicast" },
  { address: "239.255.255.250", why: "multicast: SSDP" },
  { address: "240.0.0.1", why: "reserved" },
  { address: "255.255.255.255", why: "broadcast" },

  { address: "::", why: "unspecified: the host itself" },
  { address: "::1", why: "loopback" },
  { address: "100::1", why: "discard" },
  { address: "100:0:0:1::1", why: "dummy prefix" },
  { address: "2001:1::1", why: "port control anycast" },
  { address: "2001:2::1", why: "benchmarking" },
  { address: "2001:3::1", why: "AMT" },
  { address: "2001:4:112::1", why: "AS112" },
  { address: "2001:10::1", why: "ORCHID" },
  { address: "2001:20::1", why: "ORCHIDv2" },
  { address: "2001:30::1", why: "drone remote identification" },
  { address: "2001:db8::1", why: "documentation" },
  { address: "2620:4f:8000::1", why: "AS112" },
  { address: "3fff::1", why: "documentation" },
  { address: "5f00::1", why: "segment routing" },
  { address: "fc00::1", why: "unique local" },
  { address: "fd00:ec2::254", why: "Amazon's metadata" },
  { address: "fe80::1", why: "link-local" },
  { address: "febf::1", why: "link-local" },
  { address: "fec0::1", why: "site-local" },
  { address: "ff02::1", why: "multicast" },
  { address: "ff0e::1", why: "multicast" },
  { address: "4000::1", why: "not global unicast" },
];

const inner: readonly (readonly [quad: string, why: string])[] = [
  ["127.0.0.1", "loopback"],
  ["10.0.0.1", "private"],
  ["169.254.169.254", "cloud metadata"],
  ["192.168.1.1", "private"],
];

const wrapped: readonly ForbiddenPeer[] = inner.flatMap(([quad, why]) => {
  const bytes = quad.split(".").map(Number);
  const groups = (of: readonly number[]) => [hex(of[0], of[1]), hex(of[2], of[3])].join(":");
  const plain = groups(bytes);
  const turned = groups(bytes.map((byte) => byte ^ 0xff));
  const split = `${hex(bytes[0], bytes[1])}:${hex(0, bytes[2])}:${hex(bytes[3], 0)}`;
  return [
    { address: `::${plain}`, why: `v4-compatible ${why}` },
    { address: `::ffff:${quad}`, why: `v4-mapped ${why}` },
    { address: `::ffff:0:${plain}`, why: `v4-translated ${why}` },
    { address: `64:ff9b::${plain}`, why: `NAT64 ${why}` },
    { address: `64:ff9b:1::${plain}`, why: `local NAT64, /96, ${why}` },
    { address: `64:ff9b:1:${split}::`, why: `local NAT64, /48, ${why}` },
    { address: `2002:${plain}::1`, why: `6to4 ${why}` },
    { address: `2001:0:${plain}::f7f7:f7f7`, why: `Teredo by the server ${why}` },
    { address: `2001:0:808:808::${turned}`, why: `Teredo for the client ${why}` },
    { address: `fe80::5efe:${plain}`, why: `link-local ISATAP ${why}` },
    { address: `2a00:1450:4001:800:0:5efe:${plain}`, why: `global ISATAP ${why}` },
    { address: `2a00:1450:4001:800:200:5efe:${plain}`, why: `global ISATAP, universal, ${why}` },
  ];
});

export const forbiddenPeers: readonly ForbiddenPeer[] = [...plain, ...wrapped];

function hex(high = 0, low = 0): string {
  return (high * 256 + low).toString(16);
}
