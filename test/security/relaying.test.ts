// A: relaying to where it must not go. What each method is asked with no right to it, and loops. The matrix of forbidden
// addresses is in test/interop/forbidden-peers.test.ts.

import { once } from "node:events";
import { createServer } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Client, RequestOptions } from "../conformance/client.ts";
import * as wire from "../conformance/wire.ts";
import { forbiddenPeers } from "../turn/forbidden-peers.ts";
import { bob, openVictim, type Victim } from "./victim.ts";

const planes = ["portable", "auto"];
const tcp = 6;
/** RFC 6062. */
const connectMethod = 0x00a;
const connectionBindMethod = 0x00b;
const connectionId = 0x002a;
const channel = 0x4000;

/** Everything that a client can ask for, as one who may would ask for it. */
function requests(peer: wire.Endpoint): readonly (readonly [method: number, attributes: readonly wire.Attribute[]])[] {
  return [
    [wire.method.allocate, [wire.requestedTransport()]],
    [wire.method.allocate, [wire.requestedTransport(tcp)]],
    [wire.method.refresh, [wire.lifetime(3600)]],
    [wire.method.createPermission, [wire.xorPeerAddress(peer)]],
    [wire.method.channelBind, [wire.channelNumber(channel), wire.xorPeerAddress(peer)]],
    [connectMethod, [wire.xorPeerAddress(peer)]],
    [connectionBindMethod, [wire.attributeOf(connectionId, Buffer.alloc(4, 1))]],
  ];
}

/** Error codes, where 0 is none. Over TCP, in order. */
async function outcomes(client: Client, messages: readonly Buffer[]): Promise<(number | undefined)[]> {
  for (const message of messages) client.send(message);
  await client.mark();
  return messages.map((message) => {
    const isAnswer = (id: Buffer) => id.subarray(4, 20).equals(message.subarray(4, 20));
    const frame = client.connection.inbox.take((each) => each.message !== undefined && isAnswer(each.bytes));
    return frame?.message && wire.errorCodeOf(frame.message);
  });
}

async function trap(): Promise<{ at: wire.Endpoint; caught: () => number }> {
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    socket.destroy();
  }).listen(0, "127.0.0.1");
  onTestFinished(() => void server.close());
  await once(server, "listening");
  const address = server.address();
  return {
    at: { address: "127.0.0.1", port: typeof address === "object" ? (address?.port ?? 0) : 0 },
    caught: () => connections,
  };
}

describe.each(planes)("on the plane %s", (dataplane) => {
  const listen = ["udp://127.0.0.1:0", "tcp://127.0.0.1:0"];
  const open = (more: object = {}): Promise<Victim> => openVictim({ listen, dataplane, "relay-tcp": true, ...more });

  test("A6: no method does anything without credentials, with a wrong password, or for another user", async () => {
    const { bench, at, relay } = await open();
    const server = at("tcp");
    const { client, relayed } = await bench.allocation({ transport: "tcp", server });
    const [, ...onAllocation] = requests({ address: "127.0.0.2", port: 9 });
    const signed = (options: RequestOptions) =>
      Promise.all(onAllocation.map(([method, attributes]) => client.signed(method, attributes, options)));
    const wrong = await signed({ credential: { ...client.credential, password: "wrong" } });
    const others = await signed({ credential: bob });
    const bare = onAllocation.map(([method, attributes]) => wire.message(method, attributes));
    for (const codes of [await outcomes(client, bare), await outcomes(client, wrong), await outcomes(client, others)]) {
      expect(codes.filter((code) => code === 0)).toEqual([]);
    }
    // What is not bound is not relayed, and the allocation is still its owner's.
    const peer = await bench.peer();
    client.sendTo(peer.at, "no permission");
    client.sendOn(channel, "no channel");
    await client.mark();
    expect(relay.counters().relayed).toEqual([]);
    expect(relayed.port).toBeGreaterThan(0);
    expect(wire.errorCodeOf(await client.refresh(wire.lifetime(600)))).toBe(0);
  });

  test("A6: Connect reaches no forbidden peer either", async () => {
    const { bench, at } = await open({ loopback: false });
    const { at: trapped, caught } = await trap();
    const client = await bench.client({ transport: "tcp", server: at("tcp") });
    expect(wire.errorCodeOf(await client.ask(wire.method.allocate, [wire.requestedTransport(tcp)]))).toBe(0);
    const peers = forbiddenPeers.filter(({ address }) => !address.includes(":"));
    const messages = await Promise.all(
      peers.map(({ address }) => client.signed(connectMethod, [wire.xorPeerAddress({ ...trapped, address })])),
    );
    // What is at the relay's own address may be permitted, as other relayed addresses are there, but is not connected to.
    const codes = peers.map(({ address }) => (address === trapped.address ? 447 : 403));
    expect(await outcomes(client, messages)).toEqual(codes);
    expect(caught()).toBe(0);
  });

  test("A8: no name server is reached, by default, though its address is permitted", async () => {
    const { bench, at } = await open();
    const { client } = await bench.allocation({ server: at("udp") });
    const nameServer = { address: "127.0.0.2", port: 53 };
    expect(wire.errorCodeOf(await client.bindChannel(channel, nameServer))).toBe(403);
    expect(wire.errorCodeOf(await client.bindChannel(channel, { ...nameServer, port: 0 }))).toBe(403);
    expect(wire.errorCodeOf(await client.createPermission(nameServer))).toBe(0);
  });

  test("A9: a client who is his own peer gets a packet once, and a circle of relayed addresses ends", async () => {
    const { bench, at, relay } = await open();
    const [one, other] = [
      await bench.allocation({ server: at("udp") }),
      await bench.allocation({ server: at("udp"), credential: bob }),
    ];
    expect(wire.errorCodeOf(await one.client.bindChannel(channel, one.relayed))).toBe(0);
    expect(wire.errorCodeOf(await one.client.bindChannel(channel + 1, other.relayed))).toBe(0);
    expect(wire.errorCodeOf(await other.client.bindChannel(channel, one.relayed))).toBe(0);
    one.client.sendOn(channel, "to myself");
    one.client.sendOn(channel + 1, "to another");
    const mine = await one.client.next("what he sent", ({ channelData }) => channelData !== undefined);
    expect(mine.channelData?.payload.toString()).toBe("to myself");
    const theirs = await other.client.next("what was sent", ({ channelData }) => channelData !== undefined);
    expect(theirs.channelData?.payload.toString()).toBe("to another");
    for (const { client } of [one, other]) await client.expectNothing();
    const sum = (direction: string) =>
      relay.counters().relayed.reduce((sum, row) => sum + (row.direction === direction ? row.packets : 0), 0);
    expect([sum("to-peer"), sum("to-client")]).toEqual([2, 2]);
  });
});
