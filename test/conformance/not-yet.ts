// What Sluice does not meet, and why: each line is a requirement of requirements.ts that sluice.test.ts lets go. One that
// is met must leave this list.

export interface NotYet {
  readonly why: string;
  /** The native plane meets it. */
  readonly isOfPortable?: boolean;
  readonly document: string;
  /** The requirements' own words. */
  readonly says: readonly string[];
}

export const notYet: readonly NotYet[] = [
  {
    why: "On purpose: answers to senders who may be anybody stay small (at most 1.6 and 2.5 times the request)",
    document: "RFC 8489",
    says: ["A response has a SOFTWARE attribute"],
  },
  {
    why: "On purpose: answers to senders who may be anybody stay small (at most 1.6 and 2.5 times the request)",
    document: "RFC 8656",
    says: ["Refresh without credentials is answered with 401", "An Allocate error response has SOFTWARE"],
  },
  {
    why: "On purpose: clients of RFC 5766 choose their channels from 0x4000 to 0x7FFF",
    document: "RFC 8656",
    says: ["Channel number 0x5000 is answered with 400", "Channel number 0x7fff is answered with 400"],
  },
  {
    why: "On purpose: hashes of names that a shared secret vouches for cannot be turned back, so none are asked for",
    document: "RFC 8489",
    says: [
      "USERHASH, SHA-256 of username and realm, stands for USERNAME",
      "An unknown USERHASH is answered with 401",
      "The 401 to an unknown USERHASH has neither USERNAME nor USERHASH",
    ],
  },
  {
    why: "No way in node:dgram to set the Don't Fragment bit, so DONT-FRAGMENT is unknown, as section 7.2 asks then",
    isOfPortable: true,
    document: "RFC 8656",
    says: ["DONT-FRAGMENT in an Allocate is accepted, or answered with 420 that lists it"],
  },
  {
    why: "No way in node:dgram to hear of ICMP errors",
    isOfPortable: true,
    document: "RFC 8656",
    says: [
      "An ICMP port unreachable becomes a Data indication with XOR-PEER-ADDRESS and ICMP, and no DATA",
      "The reserved field of ICMP is zero, and so is the error data of a port unreachable",
      "An ICMP error about a peer with a channel comes as a Data indication all the same",
    ],
  },
];
