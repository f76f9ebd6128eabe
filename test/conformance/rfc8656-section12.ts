// RFC 8656 section 12: channels, the ChannelBind request, and ChannelData over UDP and TCP.

import { randomBytes } from "node:crypto";
import { type Allocation, type AllocationOptions, type Bench, expectChannelData, expectData } from "./bench.ts";
import { expectError, expectSuccess } from "./client.ts";
import type { Peer } from "./peer.ts";
import { must, type Requirement } from "./requirement.ts";
import * as wire from "./wire.ts";

const channel = 0x4000;
const otherChannel = 0x4fff;
const someIpv6Peer = { address: "2001:db8::5", port: 9 };

interface Bound extends Allocation {
  readonly peer: Peer;
}

/** An allocation with a channel bound to a peer. */
async function bound(bench: Bench, options: AllocationOptions = {}): Promise<Bound> {
  const [allocation, peer] = [await bench.allocation(options), await bench.peer()];
  expectSuccess(await allocation.client.bindChannel(channel, peer.at));
  return { ...allocation, peer };
}

/** The answer to a ChannelBind of an allocation that has nothing yet. */
async function answerTo(bench: Bench, ...attributes: readonly wire.Attribute[]): Promise<wire.Reading> {
  return (await bench.allocation()).client.ask(wire.method.channelBind, attributes);
}

export const channelBind: readonly Requirement[] = [
  {
    section: "12.2",
    level: "MUST",
    says: "ChannelBind without CHANNEL-NUMBER is answered with 400",
    check: async (bench) => expectError(await answerTo(bench, wire.xorPeerAddress((await bench.peer()).at)), 400),
  },
  {
    section: "12.2",
    level: "MUST",
    says: "ChannelBind without XOR-PEER-ADDRESS is answered with 400",
    check: async (bench) => expectError(await answerTo(bench, wire.channelNumber(channel)), 400),
  },
  ...[0x3fff, 0x5000, 0x7fff, 0xffff].map(
    (number): Requirement => ({
      section: "12.2",
      level: "MUST",
      says: `Channel number 0x${number.toString(16)} is answered with 400`,
      check: async (bench) => {
        const peer = await bench.peer();
        return expectError(await answerTo(bench, wire.channelNumber(number), wire.xorPeerAddress(peer.at)), 400);
      },
    }),
  ),
  ...[0x4000, 0x4fff].map(
    (number): Requirement => ({
      section: "12.2",
      level: "MUST",
      says: `Channel number 0x${number.toString(16)} can be bound`,
      check: async (bench) => {
        const peer = await bench.peer();
        return expectSuccess(await answerTo(bench, wire.channelNumber(number), wire.xorPeerAddress(peer.at)));
      },
    }),
  ),
  {
    section: "18.1",
    level: "MUST",
    says: "The reserved bytes of CHANNEL-NUMBER are ignored",
    check: async (bench) => {
      const peer = await bench.peer();
      return expectSuccess(await answerTo(bench, wire.channelNumber(channel, 0xbeef), wire.xorPeerAddress(peer.at)));
    },
  },
  {
    section: "12.2",
    level: "MUST",
    says: "A channel number bound to another peer is answered with 400, and the binding stays",
    check: async (bench) => {
      const { client, peer } = await bound(bench);
      const other = await bench.peer();
      const seen = expectError(await client.bindChannel(channel, other.at), 400);
      client.sendOn(channel, "still mine");
      await peer.expect("still mine");
      return seen;
    },
  },
  {
    section: "12.2",
    level: "MUST",
    says: "A peer bound to another channel is answered with 400",
    check: async (bench) => {
      const { client, peer } = await bound(bench);
      return expectError(await client.bindChannel(otherChannel, peer.at), 400);
    },
  },
  {
    section: "12.2",
    level: "MUST",
    says: "Two ports of one address are two peers: each may have a channel",
    check: async (bench) => {
      const { client, relayed } = await bound(bench);
      const other = await bench.peer();
      expectSuccess(await client.bindChannel(otherChannel, other.at));
      other.send(relayed, "the other port");
      await expectChannelData(client, otherChannel, "the other port");
      return "two channels to one address";
    },
  },
  {
    section: "12.2",
    level: "MUST",
    says: "Binding a channel again to the same peer succeeds",
    check: async (bench) => {
      const { client, peer } = await bound(bench);
      return expectSuccess(await client.bindChannel(channel, peer.at));
    },
  },
  {
    section: "12.2",
    level: "MUST",
    says: "ChannelBind to an IPv6 peer of an IPv4 allocation is answered with 443",
    check: async (bench) =>
      expectError(await (await bench.allocation()).client.bindChannel(channel, someIpv6Peer), 443),
  },
  {
    section: "12.2",
    level: "MUST",
    says: "ChannelBind makes a permission for every port of the peer's address",
    check: async (bench) => {
      const { client, relayed } = await bound(bench);
      const other = await bench.peer();
      other.send(relayed, "another port");
      await expectData(client, "another port", other.at);
      return "a Data indication came from another port";
    },
  },
  {
    section: "12",
    level: "MUST",
    says: "Channels of one allocation are nothing to another: the same number may be bound in both",
    check: async (bench) => {
      const [first, second] = [await bound(bench), await bound(bench)];
      first.client.sendOn(channel, "one");
      second.client.sendOn(channel, "two");
      await first.peer.expect("one", first.relayed);
      await second.peer.expect("two", second.relayed);
      return "each went its own way";
    },
  },
  {
    section: "21.4",
    level: "MUST NOT",
    says: "A 6to4 or Teredo address is not accepted as a peer",
    check: async (bench) => {
      const { client } = await bench.allocation6();
      const tunnels = ["2002:c000:201::1", "2001:0:c000:201::1"];
      const replies = [];
      for (const [i, address] of tunnels.entries()) {
        replies.push(await client.bindChannel(channel + i, { address, port: 9999 }));
      }
      return [...new Set(replies.map((reply) => expectError(reply, 400, 403)))].join(", ");
    },
  },
];

const payloadLengths = [1, 2, 3, 4, 5, 172, 1199, 1400];

export const channelData: readonly Requirement[] = [
  {
    section: "12.6",
    level: "MUST",
    says: "ChannelData becomes a datagram from the relayed address to the channel's peer",
    check: async (bench) => {
      const { client, peer, relayed } = await bound(bench);
      client.sendOn(channel, "hello");
      await peer.expect("hello", relayed);
      return `from ${relayed.address}:${relayed.port}`;
    },
  },
  {
    section: "12.6",
    level: "MUST",
    says: "The datagram holds as many bytes as Length says, whatever their number",
    check: async (bench) => {
      const { client, peer } = await bound(bench);
      for (const length of payloadLengths) {
        const payload = randomBytes(length);
        client.sendOn(channel, payload);
        await peer.expect(payload);
      }
      return `${payloadLengths.join(", ")} bytes`;
    },
  },
  {
    section: "12.6",
    level: "MUST",
    says: "ChannelData of length 0 becomes an empty datagram",
    check: async (bench) => {
      const { client, peer } = await bound(bench);
      client.sendOn(channel, "");
      await peer.expect("");
      return "an empty datagram arrived";
    },
  },
  {
    section: "12.5",
    level: "MUST",
    says: "Padding after ChannelData over UDP is taken off",
    check: async (bench) => {
      const { client, peer } = await bound(bench);
      client.send(wire.paddedChannelData(channel, "padded"));
      await peer.expect("padded");
      return "6 of 8 bytes relayed";
    },
  },
  {
    section: "12.6",
    level: "MUST",
    says: "ChannelData over UDP that is shorter than its Length is discarded",
    check: async (bench) => {
      const { client, peer } = await bound(bench);
      client.send(wire.channelData(channel, "cut short").subarray(0, -1));
      client.sendOn(channel, "whole");
      await peer.expect("whole");
      await client.expectNothing();
      return "discarded without a word";
    },
  },
  {
    section: "12.6",
    level: "MUST",
    says: "ChannelData on a channel that is not bound is discarded",
    check: async (bench) => {
      const { client, peer } = await bound(bench);
      client.sendOn(otherChannel, "not bound");
      client.sendOn(channel, "bound");
      await peer.expect("bound");
      await client.expectNothing();
      return "discarded without a word";
    },
  },
  {
    section: "12.6",
    level: "MUST",
    says: "A message that begins with a reserved value (0x5000 to 0xFFFF) is discarded",
    check: async (bench) => {
      const { client, peer } = await bound(bench);
      for (const first of [0x5000, 0x7fff, 0x8000, 0xffff]) client.send(wire.channelData(first, "reserved"));
      client.sendOn(channel, "bound");
      await peer.expect("bound");
      await client.expectNothing();
      return "four values discarded without a word";
    },
  },
  {
    section: "12.5",
    level: "MUST",
    says: "The server uses ChannelData for a peer with a channel, with that channel's number and the right length",
    check: async (bench) => {
      const { client, peer, relayed } = await bound(bench);
      for (const length of payloadLengths) {
        const payload = randomBytes(length);
        peer.send(relayed, payload);
        const { bytes } = await expectChannelData(client, channel, payload);
        must([4 + length, 4 + wire.padded(length)].includes(bytes.length), `${bytes.length} bytes for ${length}`);
      }
      return `${payloadLengths.join(", ")} bytes`;
    },
  },
  {
    section: "12.7",
    level: "MUST",
    says: "An empty datagram of a peer with a channel becomes ChannelData of length 0",
    check: async (bench) => {
      const { client, peer, relayed } = await bound(bench);
      peer.send(relayed, "");
      await expectChannelData(client, channel, "");
      return "length 0";
    },
  },
  {
    section: "12.5",
    level: "MUST",
    says: "The client may send indications to a peer with a channel, and is answered on the channel",
    check: async (bench) => {
      const { client, peer, relayed } = await bound(bench);
      client.sendTo(peer.at, "by indication");
      await peer.expect("by indication", relayed);
      peer.send(relayed, "by channel");
      await expectChannelData(client, channel, "by channel");
      return "there by Send, back by ChannelData";
    },
  },
];

/** Channel frames of several lengths as one stream, with what they hold. */
function frames(): { readonly payloads: Buffer[]; readonly stream: Buffer } {
  const payloads = [1, 2, 3, 4, 7, 172, 1001].map((length) => randomBytes(length));
  return { payloads, stream: Buffer.concat(payloads.map((payload) => wire.paddedChannelData(channel, payload))) };
}

export const channelDataOverTcp: readonly Requirement[] = [
  {
    section: "12.5",
    level: "MUST",
    says: "Over TCP, frames of any length in one segment are told apart by their padding, which is not relayed",
    check: async (bench) => {
      const { client, peer } = await bound(bench, { transport: "tcp" });
      const { payloads, stream } = frames();
      client.send(stream);
      for (const payload of payloads) await peer.expect(payload);
      return `${payloads.length} frames in one write`;
    },
  },
  {
    section: "12.6",
    level: "MUST",
    says: "Over TCP, a frame cut anywhere is put together again",
    check: async (bench) => {
      const { client, peer } = await bound(bench, { transport: "tcp" });
      const { payloads, stream } = frames();
      for (let at = 0; at < stream.length; at += 5) {
        client.send(stream.subarray(at, at + 5));
        // One turn of the event loop, so that each piece is a write of its own.
        await new Promise(setImmediate);
      }
      for (const payload of payloads) await peer.expect(payload);
      return `${payloads.length} frames in pieces of 5 bytes`;
    },
  },
  {
    section: "12.5",
    level: "MUST",
    says: "Over TCP, the server pads ChannelData to a multiple of four that Length does not count",
    check: async (bench) => {
      const { client, peer, relayed } = await bound(bench, { transport: "tcp" });
      for (const { length } of frames().payloads) {
        const payload = randomBytes(length);
        peer.send(relayed, payload);
        const { bytes } = await expectChannelData(client, channel, payload);
        must(bytes.length === 4 + wire.padded(length), `${bytes.length} bytes for ${length}`);
        await client.mark();
      }
      return "the stream stays in step";
    },
  },
  {
    section: "12.6",
    level: "MUST",
    says: "Over TCP, ChannelData and requests may follow each other in one segment",
    check: async (bench) => {
      const { client, peer } = await bound(bench, { transport: "tcp" });
      const request = wire.message(wire.method.binding | wire.messageClass.request);
      const data = wire.paddedChannelData(channel, "before and after");
      client.send(Buffer.concat([data, request, data]));
      await peer.expect("before and after");
      await peer.expect("before and after");
      const id = request.subarray(8, 20);
      await client.next("the Binding response", ({ message }) => message?.transactionId.equals(id) === true);
      return "two datagrams and a response";
    },
  },
  {
    section: "12.6",
    level: "MUST",
    says: "Over TCP, ChannelData on a channel that is not bound is discarded and the stream goes on",
    check: async (bench) => {
      const { client, peer } = await bound(bench, { transport: "tcp" });
      client.sendOn(otherChannel, "not bound");
      client.sendOn(channel, "bound");
      await peer.expect("bound");
      return "the next frame was relayed";
    },
  },
];
