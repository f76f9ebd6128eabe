// What Sluice does not meet, and why: each line is a requirement of requirements.ts that sluice.test.ts lets go. One that
// is met must leave this list.

export interface NotYet {
  readonly why: string;
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
    why: "Not built: the nonce cookie, password algorithms, MESSAGE-INTEGRITY-SHA256 and USERHASH of RFC 8489",
    document: "RFC 8489",
    says: [
      'NONCE begins with "obMatJos2" and four characters of base64',
      "The feature bits that no RFC has defined are zero",
      'The "Password algorithms" bit is set when, and only when, PASSWORD-ALGORITHMS is there',
      "A nonce whose feature bits were cleared on the way is not valid",
      "PASSWORD-ALGORITHMS is a list of numbers and padded parameters",
      "SHA-256 chosen from the list is accepted, and the answer has MESSAGE-INTEGRITY-SHA256 alone",
      "MD5 chosen from the list is accepted, and the answer has MESSAGE-INTEGRITY-SHA256 alone",
      "Without PASSWORD-ALGORITHM and PASSWORD-ALGORITHMS the key is made with MD5",
      "A list that is not the one the server sent is answered with 400",
      "PASSWORD-ALGORITHM without the list is answered with 400",
      "The list without PASSWORD-ALGORITHM is answered with 400",
      "A PASSWORD-ALGORITHM that is not in the list is answered with 400",
      "The 401 to an unknown username has PASSWORD-ALGORITHMS",
      "A 438 has PASSWORD-ALGORITHMS",
      "A wrong MESSAGE-INTEGRITY-SHA256 is answered with 401, though a right MESSAGE-INTEGRITY stands before it",
      "A MESSAGE-INTEGRITY-SHA256 cut short is refused, as TURN does not allow truncation",
      "MESSAGE-INTEGRITY-SHA256 is right when a FINGERPRINT follows it in the request",
      "What follows MESSAGE-INTEGRITY-SHA256 is ignored",
      "MESSAGE-INTEGRITY-SHA256 under the MD5 key, without PASSWORD-ALGORITHM, is answered with MESSAGE-INTEGRITY",
      "USERHASH, SHA-256 of username and realm, stands for USERNAME",
      "An unknown USERHASH is answered with 401",
      "The 401 to an unknown USERHASH has neither USERNAME nor USERHASH",
      "A whole allocation under SHA-256: Allocate, then Refresh to zero with the same choice",
    ],
  },
  {
    why: "Not built: dual allocations",
    document: "RFC 8656",
    says: [
      "ADDITIONAL-ADDRESS-FAMILY 2 gives an IPv4 and an IPv6 relayed address, or tells why in ADDRESS-ERROR-CODE",
      "ADDITIONAL-ADDRESS-FAMILY 1 is answered with 400",
      "REQUESTED-ADDRESS-FAMILY together with ADDITIONAL-ADDRESS-FAMILY is answered with 400",
      "EVEN-PORT with R set together with ADDITIONAL-ADDRESS-FAMILY is answered with 400",
      "Deleting one family of a dual allocation leaves the other and its permissions alone",
      "A Refresh to zero without a family deletes both",
      "A dual allocation takes permissions of both families in one request",
      "RESERVATION-TOKEN together with ADDITIONAL-ADDRESS-FAMILY is answered with 400",
    ],
  },
  {
    why: "No way in node:dgram to set the Don't Fragment bit, so DONT-FRAGMENT is unknown, as section 7.2 asks then",
    document: "RFC 8656",
    says: ["DONT-FRAGMENT in an Allocate is accepted, or answered with 420 that lists it"],
  },
  {
    why: "Not built: ICMP errors are not told to clients",
    document: "RFC 8656",
    says: [
      "An ICMP port unreachable becomes a Data indication with XOR-PEER-ADDRESS and ICMP, and no DATA",
      "The reserved field of ICMP is zero, and so is the error data of a port unreachable",
      "An ICMP error about a peer with a channel comes as a Data indication all the same",
    ],
  },
  {
    why: "Not built: TCP allocations",
    document: "RFC 6062",
    says: [
      "REQUESTED-TRANSPORT 6 over TCP gives a relayed TCP address, or 442",
      "REQUESTED-TRANSPORT 6 over UDP is answered with 400",
      "A TCP allocation with EVEN-PORT is answered with 400",
      "A TCP allocation with DONT-FRAGMENT is answered with 400",
      "A TCP allocation with RESERVATION-TOKEN is answered with 400",
      "Connect opens a connection from the relayed address to the peer and answers with CONNECTION-ID",
      "Connect without an allocation is answered with 437",
      "Connect without XOR-PEER-ADDRESS is answered with 400",
      "Connect to a peer that is connected already is answered with 446",
      "Connect to a peer that refuses is answered with 447",
      "What a peer sends before ConnectionBind is kept for the client",
      "A permitted peer's connection is told in a ConnectionAttempt with CONNECTION-ID and XOR-PEER-ADDRESS",
      "A connection of a peer without permission is closed, and the client is not told",
      "ConnectionBind with a CONNECTION-ID that does not exist is answered with 400",
      "ConnectionBind without CONNECTION-ID is answered with 400",
      "A CONNECTION-ID can be bound once",
      "Another user cannot bind a CONNECTION-ID",
      "After ConnectionBind every byte is relayed, both ways and in order",
      "When the peer closes, the data connection is closed",
      "When the client closes the data connection, the peer's is closed",
      "When the allocation is deleted, its data connections are closed",
    ],
  },
];
