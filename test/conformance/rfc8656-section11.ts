// RFC 8656 section 11: Send and Data indications, and ICMP errors on the way to a peer.

import { randomBytes } from "node:crypto";
import { type Allocation, type Bench, expectData, isDataIndication } from "./bench.ts";
import { type Client, expectSuccess } from "./client.ts";
import type { Frame } from "./connection.ts";
import type { Peer } from "./peer.ts";
import { must, notSupported, type Requirement } from "./requirement.ts";
import * as wire from "./wire.ts";

const { attribute } = wire;

interface Pair extends Allocation {
  readonly peer: Peer;
}

/** An allocation and a peer that has a permission in it. */
async function permitted(bench: Bench): Promise<Pair> {
  const [allocation, peer] = [await bench.allocation(), await bench.peer()];
  expectSuccess(await allocation.client.createPermission(peer.at));
  return { ...allocation, peer };
}

/** Passes when a Send with these attributes reaches nobody, and a good one after it does. */
async function discarded(bench: Bench, attributes: (peer: Peer) => readonly wire.Attribute[]): Promise<string> {
  const { client, peer } = await permitted(bench);
  client.sendIndication(...attributes(peer));
  client.sendTo(peer.at, "a good one");
  await peer.expect("a good one");
  await client.expectNothing();
  return "discarded without a word";
}

/** A datagram to a peer and back, from a client on one family to a peer of another. */
async function roundTrip(bench: Bench, clientFamily: 4 | 6, peerFamily: 4 | 6): Promise<string> {
  const server = clientFamily === 6 ? bench.server6 : bench.server;
  const { client, relayed } = await (peerFamily === 6 ? bench.allocation6({ server }) : bench.allocation({ server }));
  const peer = await bench.peer({ family: peerFamily });
  expectSuccess(await client.createPermission(peer.at));
  client.sendTo(peer.at, "there");
  await peer.expect("there", relayed);
  peer.send(relayed, "and back");
  await expectData(client, "and back", peer.at);
  return "there and back";
}

const payloadLengths = [1, 2, 3, 4, 5, 172, 1199, 1400];

export const sendIndications: readonly Requirement[] = [
  {
    section: "11.2",
    level: "MUST",
    says: "A Send indication becomes a datagram from the relayed address to the peer",
    check: async (bench) => {
      const { client, peer, relayed } = await permitted(bench);
      client.sendTo(peer.at, "hello");
      await peer.expect("hello", relayed);
      return `from ${relayed.address}:${relayed.port}`;
    },
  },
  {
    section: "11.2",
    level: "MUST",
    says: "The datagram holds the bytes of DATA and no padding, whatever their number",
    check: async (bench) => {
      const { client, peer } = await permitted(bench);
      for (const length of payloadLengths) {
        const payload = randomBytes(length);
        client.sendTo(peer.at, payload);
        await peer.expect(payload);
      }
      return `${payloadLengths.join(", ")} bytes`;
    },
  },
  {
    section: "11.2",
    level: "MUST",
    says: "DATA of zero bytes becomes an empty datagram",
    check: async (bench) => {
      const { client, peer } = await permitted(bench);
      client.sendTo(peer.at, "");
      await peer.expect("");
      return "an empty datagram arrived";
    },
  },
  {
    section: "11.2",
    level: "MUST",
    says: "A Send indication over TCP is relayed over UDP",
    check: async (bench) => {
      const [{ client, relayed }, peer] = [await bench.allocation({ transport: "tcp" }), await bench.peer()];
      expectSuccess(await client.createPermission(peer.at));
      client.sendTo(peer.at, "from a stream");
      await peer.expect("from a stream", relayed);
      peer.send(relayed, "to a stream");
      await expectData(client, "to a stream", peer.at);
      return "there and back";
    },
  },
  {
    section: "13.2",
    level: "MUST",
    says: "A client on IPv6 relays to an IPv6 peer",
    check: (bench) => roundTrip(bench, 6, 6),
  },
  {
    section: "13.3",
    level: "MUST",
    says: "A client on IPv6 relays to an IPv4 peer",
    check: (bench) => roundTrip(bench, 6, 4),
  },
  {
    section: "13.1",
    level: "MUST",
    says: "A client on IPv4 relays to an IPv6 peer",
    check: (bench) => roundTrip(bench, 4, 6),
  },
  {
    section: "11.2",
    level: "MUST",
    says: "DATA of 16,000 bytes is relayed whole or not at all",
    check: async (bench) => {
      const { client, peer } = await permitted(bench);
      const payload = randomBytes(16_000);
      client.sendTo(peer.at, payload);
      client.sendTo(peer.at, "a marker");
      const { payload: first } = await peer.next();
      if (first.toString() === "a marker") return "not at all";
      must(first.equals(payload), `${first.length} bytes arrived`);
      return "whole";
    },
  },
  {
    section: "11.2",
    level: "MUST",
    says: "A Send indication without DATA is discarded",
    check: (bench) => discarded(bench, (peer) => [wire.xorPeerAddress(peer.at)]),
  },
  {
    section: "11.2",
    level: "MUST",
    says: "A Send indication without XOR-PEER-ADDRESS is discarded",
    check: (bench) => discarded(bench, () => [wire.data("to whom?")]),
  },
  {
    section: "11.2",
    level: "MUST",
    says: "A Send indication with an invalid XOR-PEER-ADDRESS is discarded",
    check: (bench) =>
      discarded(bench, () => [wire.attributeOf(attribute.xorPeerAddress, Buffer.of(0, 1, 0)), wire.data("where?")]),
  },
  {
    section: "11.2",
    level: "MUST",
    says: "A Send indication with an unknown comprehension-required attribute is discarded (RFC 8489 section 6.3.2)",
    check: (bench) =>
      discarded(bench, (peer) => [wire.attributeOf(0x7ffe), wire.xorPeerAddress(peer.at), wire.data("what?")]),
  },
  {
    section: "11.2",
    level: "MUST",
    says: "A Send indication to an address without permission is discarded",
    check: async (bench) => {
      const { client, peer } = await permitted(bench);
      const stranger = await bench.peer({ nth: 1 });
      client.sendTo(stranger.at, "not permitted");
      client.sendTo(peer.at, "permitted");
      await peer.expect("permitted");
      await client.expectNothing();
      expectSuccess(await client.createPermission(stranger.at));
      client.sendTo(stranger.at, "now permitted");
      await stranger.expect("now permitted");
      return "discarded without a word";
    },
  },
  {
    section: "11.2",
    level: "MUST NOT",
    says: "A Send indication does not make a permission",
    check: async (bench) => {
      const { client, relayed, peer } = await permitted(bench);
      const stranger = await bench.peer({ nth: 1 });
      client.sendTo(stranger.at, "let me in");
      await client.mark();
      stranger.send(relayed, "from a stranger");
      peer.send(relayed, "from a friend");
      await expectData(client, "from a friend", peer.at);
      await client.expectNothing();
      return "the stranger stays out";
    },
  },
  {
    section: "11.2",
    level: "MUST",
    says: "A Send indication with DONT-FRAGMENT is relayed if Allocate takes the attribute, else discarded",
    check: async (bench) => {
      const probe = await (await bench.client()).allocate(wire.attributeOf(attribute.dontFragment));
      const isKnown = wire.errorCodeOf(probe) !== 420;
      const attributes = (peer: Peer) => [
        wire.attributeOf(attribute.dontFragment),
        wire.xorPeerAddress(peer.at),
        wire.data("whole"),
      ];
      if (!isKnown) return `${await discarded(bench, attributes)}, as Allocate is refused with it`;
      const { client, peer } = await permitted(bench);
      client.sendIndication(...attributes(peer));
      await peer.expect("whole");
      return "relayed";
    },
  },
];

/** The next Data indication after the peer has sent `payload`. */
async function dataIndication({ client, peer, relayed }: Pair, payload: Uint8Array | string): Promise<wire.Reading> {
  peer.send(relayed, payload);
  return expectData(client, payload, peer.at);
}

export const dataIndications: readonly Requirement[] = [
  {
    section: "11.3",
    level: "MUST",
    says: "A peer's datagram becomes a Data indication with XOR-PEER-ADDRESS and DATA",
    check: async (bench) => {
      const pair = await permitted(bench);
      const { type, cookie, length, bytes } = await dataIndication(pair, "hello");
      must(type === 0x0017 && cookie === wire.magicCookie, `type 0x${type.toString(16)}`);
      must(length === bytes.length - wire.headerBytes, `length ${length} of ${bytes.length} bytes`);
      return `from ${pair.peer.at.address}:${pair.peer.at.port}`;
    },
  },
  {
    section: "11.3",
    level: "MUST",
    says: "DATA holds the bytes of the datagram, whatever their number, and its padding is zero",
    check: async (bench) => {
      const pair = await permitted(bench);
      for (const length of payloadLengths) {
        const { attributes } = await dataIndication(pair, randomBytes(length));
        const isClean = attributes.every(({ padding }) => padding.every((byte) => byte === 0));
        must(isClean, `padding is not zero after ${length} bytes`);
      }
      return `${payloadLengths.join(", ")} bytes`;
    },
  },
  {
    section: "11.3",
    level: "MUST",
    says: "An empty datagram becomes a Data indication with DATA of zero bytes",
    check: async (bench) => {
      await dataIndication(await permitted(bench), "");
      return "DATA of zero bytes";
    },
  },
  {
    section: "5 of RFC 8489",
    level: "MUST",
    says: "Each Data indication has a transaction ID of its own",
    check: async (bench) => {
      const pair = await permitted(bench);
      const ids = new Set<string>();
      for (let i = 0; i < 8; i++) ids.add((await dataIndication(pair, `${i}`)).transactionId.toString("hex"));
      must(ids.size === 8, `8 indications, ${ids.size} transaction IDs`);
      return "8 indications, 8 transaction IDs";
    },
  },
];

const icmpOf = ({ message }: Frame): Buffer | undefined =>
  message && isDataIndication({ message } as Frame) ? wire.find(message, attribute.icmp)?.value : undefined;

/** Sends to a closed port of a permitted address, then has a datagram go round by another, and takes what came of it. */
async function portUnreachable(
  bench: Bench,
  send: (client: Client, closed: wire.Endpoint) => Promise<void>,
): Promise<{ readonly icmp: Buffer; readonly frame: Frame; readonly closed: wire.Endpoint }> {
  const pair = await permitted(bench);
  const gone = await bench.peer();
  const closed = gone.at;
  await gone.close();
  await send(pair.client, closed);
  await pair.client.mark();
  pair.peer.send(pair.relayed, "marker");
  await expectDataAfterIcmp(pair);
  // A server may learn of the error after the datagram that came behind it, and nothing else tells that it will not.
  const frame = await pair.client.connection.inbox.next((each) => icmpOf(each) !== undefined, 500);
  const icmp = frame && icmpOf(frame);
  if (!frame || !icmp) notSupported("a datagram to a closed port brings no ICMP attribute");
  return { icmp, frame, closed };
}

async function expectDataAfterIcmp({ client }: Pair): Promise<void> {
  await client.next(
    "the marker",
    ({ message }) => message !== undefined && wire.find(message, attribute.data) !== undefined,
  );
}

const byIndication = async (client: Client, closed: wire.Endpoint) => client.sendTo(closed, "anyone?");
const byChannel = async (client: Client, closed: wire.Endpoint) => {
  expectSuccess(await client.bindChannel(0x4003, closed));
  client.sendOn(0x4003, "anyone?");
};

export const icmp: readonly Requirement[] = [
  {
    section: "11.5",
    level: "MUST",
    says: "An ICMP port unreachable becomes a Data indication with XOR-PEER-ADDRESS and ICMP, and no DATA",
    check: async (bench) => {
      const { icmp, frame, closed } = await portUnreachable(bench, byIndication);
      must(icmp.length === 8 && icmp[2] === 3 && icmp[3] === 3, `ICMP attribute ${icmp.toString("hex")}`);
      must(frame.message && !wire.find(frame.message, attribute.data), "it has DATA");
      const [from] = wire.xorAddresses(frame.message, attribute.xorPeerAddress);
      must(
        from?.address === closed.address && [0, closed.port].includes(from.port),
        `from ${from?.address}:${from?.port}`,
      );
      return "type 3, code 3";
    },
  },
  {
    section: "18.13",
    level: "MUST",
    says: "The reserved field of ICMP is zero, and so is the error data of a port unreachable",
    check: async (bench) => {
      const { icmp } = await portUnreachable(bench, byIndication);
      must(icmp.readUInt16BE(0) === 0 && icmp.readUInt32BE(4) === 0, icmp.toString("hex"));
      return icmp.toString("hex");
    },
  },
  {
    section: "12.5",
    level: "MUST",
    says: "An ICMP error about a peer with a channel comes as a Data indication all the same",
    check: async (bench) => {
      const { icmp } = await portUnreachable(bench, byChannel);
      return `type ${icmp[2]}, code ${icmp[3]}`;
    },
  },
];
