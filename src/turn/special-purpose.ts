// Addresses that no relay should reach unless it is told to: the IANA registries of special-purpose addresses for IPv4
// and IPv6 (RFC 6890 and its updates), multicast, and the metadata services of clouds that stand outside of these.

/** Every row of the registries lies in one of these; a test holds them against the registries. */
export const specialPurposeRanges = [
  "0.0.0.0/8", // this network; 0.0.0.0 reaches the host itself
  "10.0.0.0/8", // private
  "100.64.0.0/10", // shared by carriers; Alibaba's metadata
  "127.0.0.0/8", // loopback
  "168.63.129.16/32", // Azure's metadata and wire server
  "169.254.0.0/16", // link-local; the metadata of most clouds
  "172.16.0.0/12", // private
  "192.0.0.0/24", // IETF protocol assignments; Oracle's metadata
  "192.0.2.0/24", // documentation
  "192.31.196.0/24", // AS112
  "192.52.193.0/24", // automatic multicast tunnelling
  "192.88.99.0/24", // 6to4 relays
  "192.168.0.0/16", // private
  "192.175.48.0/24", // AS112
  "198.18.0.0/15", // benchmarking
  "198.51.100.0/24", // documentation
  "203.0.113.0/24", // documentation
  "224.0.0.0/4", // multicast
  "240.0.0.0/4", // reserved; broadcast

  // Only 2000::/3 is global unicast. Outside of it: unspecified, loopback, v4-mapped, v4-compatible, NAT64, discard,
  // segment routing, unique local, link-local, site-local, multicast.
  "::/3",
  "4000::/2",
  "8000::/1",
  "2001::/23", // IETF protocol assignments: Teredo, benchmarking, ORCHID, AS112 and others
  "2001:db8::/32", // documentation
  "2002::/16", // 6to4
  "2620:4f:8000::/48", // AS112
  "3fff::/20", // documentation
] as const;

export const loopbackRanges = ["127.0.0.0/8", "::1/128"] as const;
