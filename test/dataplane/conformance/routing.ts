// Which way a packet goes between clients on datagrams and their peers, and what stops it.

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Family } from "../../../src/contract.ts";
import { decode, encode } from "../../../src/stun/message.ts";
import { Method } from "../../../src/stun/methods.ts";
import { anyPort, channelData, loopback, type Make, Rig, until } from "../rig.ts";
import { type Clients, channel, channelLegs, onUdp, openScene, permissionLegs } from "./scene.ts";

export function describeRouting(make: Make, clients: Clients = onUdp): void {
  const {
    transport,
    bytes: [leastBytes, mostBytes],
  } = clients;
  const isOnUdp = transport === "udp";
  let rig: Rig;
  beforeEach(() => {
    rig = new Rig(make);
  });
  afterEach(() => rig.close());
  const scene = (family?: Family) => openScene(rig, clients, family);

  describe.each([4, 6] as const)("a channel over IPv%d", (family) => {
    test("carries payload out of its frame to the peer, from the relayed address", async () => {
      const on = await scene(family);
      rig.route(...channelLegs(on));
      on.client.send(channelData(channel, "out"), on.listener.at);
      const { bytes, from } = await on.peer.nextFrom();
      expect(bytes.toString()).toBe("out");
      expect(from).toEqual(on.at);
    });

    test("carries the peer's payload to the client, framed, from the listener", async () => {
      const on = await scene(family);
      rig.route(...channelLegs(on));
      on.peer.send("in", on.at);
      const { bytes, from } = await on.client.nextFrom();
      expect(bytes).toEqual(channelData(channel, "in"));
      expect(from).toEqual(on.listener.at);
    });

    test("carries nothing and everything that fits a datagram", async () => {
      const on = await scene(family);
      rig.route(...channelLegs(on));
      for (const payload of [Buffer.alloc(0), Buffer.alloc(mostBytes - 4, 7)]) {
        on.client.send(channelData(channel, payload), on.listener.at);
        expect((await on.peer.next()).equals(payload)).toBe(true);
        on.peer.send(payload, on.at);
        expect((await on.client.next()).equals(channelData(channel, payload))).toBe(true);
      }
    });

    test("does not carry the padding behind a frame", async () => {
      const on = await scene(family);
      rig.route(...channelLegs(on));
      on.client.send(Buffer.concat([channelData(channel, "abc"), Buffer.alloc(1)]), on.listener.at);
      expect((await on.peer.next()).toString()).toBe("abc");
    });

    test("is no permission for other ports of its peer", async () => {
      const on = await scene(family);
      rig.route(...channelLegs(on));
      const stranger = await rig.udp(loopback[family]);
      stranger.send("stranger", on.at);
      on.peer.send("peer", on.at);
      expect(await on.client.next()).toEqual(channelData(channel, "peer"));
      await rig.expectDropped("no-permission", 1);
    });
  });

  describe.each([4, 6] as const)("a permission over IPv%d", (family) => {
    test("makes packets from any port of its address Data indications", async () => {
      const on = await scene(family);
      rig.route(...permissionLegs(on));
      const ids = new Set<string>();
      for (const peer of [on.peer, await rig.udp(loopback[family])]) {
        peer.send("in", on.at);
        const message = decode(await on.client.next());
        expect(message).toMatchObject({ class: "indication", method: Method.data, classic: false });
        expect(message?.attributes.xorPeerAddress).toEqual([peer.at]);
        expect(Buffer.from(message?.attributes.data ?? []).toString()).toBe("in");
        ids.add(Buffer.from(message?.transactionId ?? []).toString("hex"));
      }
      expect(ids.size).toBe(2);
    });

    test("gives way to a channel to exactly that peer, and takes over when the channel has ended", async () => {
      const on = await scene(family);
      const [client, peer] = channelLegs(on);
      rig.route(...permissionLegs(on));
      rig.route({ ...client, until: rig.now + 10 }, peer);
      on.peer.send("in", on.at);
      expect(await on.client.next()).toEqual(channelData(channel, "in"));
      rig.now += 10;
      on.peer.send("in", on.at);
      expect(decode(await on.client.next())?.method).toBe(Method.data);
    });
  });

  test("an indication holds whatever a peer can send, or the packet is lost", async () => {
    const on = await scene();
    rig.route(...permissionLegs(on));
    on.peer.send(Buffer.alloc(65_507), on.at);
    on.peer.send(Buffer.alloc(0), on.at);
    expect(decode(await on.client.next())?.attributes.data).toHaveLength(0);
  });

  test("a bare route shares the listener's port: payload, and STUN too, goes both ways as it is", async () => {
    const on = await scene();
    rig.route(rig.leg(on.via, on.client.at), rig.leg(on.relay, on.peer.at));
    const binding = encode({
      class: "request",
      method: Method.binding,
      transactionId: Buffer.alloc(12, 1),
      attributes: {},
    });
    for (const bytes of [Buffer.from([0x80, 1, 2]), Buffer.alloc(leastBytes, 1), binding]) {
      on.client.send(bytes, on.listener.at);
      expect(await on.peer.next()).toEqual(bytes);
      on.peer.send(bytes, on.at);
      expect(await on.client.next()).toEqual(bytes);
    }
    expect(rig.handed.isEmpty).toBe(true);
  });

  test("two relay ports make a route of their own, between peers", async () => {
    const on = await scene();
    const [other, end] = [await rig.openRelay(), await rig.udp()];
    rig.route(rig.leg(other.relay, end.at), rig.leg(on.relay, on.peer.at));
    end.send("there", other.at);
    expect(await on.peer.nextFrom()).toMatchObject({ from: on.at });
    on.peer.send("back", on.at);
    expect(await end.nextFrom()).toMatchObject({ from: other.at });
  });

  describe("without a route", () => {
    test("STUN is handed up, with where it came from and by what", async () => {
      const { listener, via, client } = await scene();
      const bytes = encode({ class: "request", method: 0xabc, transactionId: Buffer.alloc(12), attributes: {} });
      client.send(bytes, listener.at);
      expect(await rig.handed.next()).toEqual({
        is: "datagram",
        on: listener,
        via,
        from: client.at,
        bytes,
      });
    });

    test("ChannelData is dropped, also on a channel of another client", async () => {
      const on = await scene();
      rig.route(...channelLegs(on));
      const { client: stranger } = await clients.join(rig, on.listener, 4);
      stranger.send(channelData(channel, "not mine"), on.listener.at);
      on.client.send(channelData(channel + 1, "not bound"), on.listener.at);
      on.client.send(channelData(channel, "bound"), on.listener.at);
      expect((await on.peer.next()).toString()).toBe("bound");
      await rig.expectDropped("no-channel", 2);
    });

    test("what is neither is dropped", async () => {
      const on = await scene();
      rig.route(...channelLegs(on));
      const reserved = channelData(0x8000, "reserved");
      const short = channelData(channel, "shorter than it says").subarray(0, -1);
      const longStun = Buffer.concat([
        encode({ class: "request", method: 1, transactionId: Buffer.alloc(12), attributes: {} }),
        Buffer.alloc(4),
      ]);
      const wrong = [
        Buffer.alloc(leastBytes, 0xff),
        "GET / HTTP/1.1",
        Buffer.from([0x40]),
        Buffer.alloc(19),
        reserved,
        short,
        longStun,
      ];
      for (const bytes of wrong) on.client.send(bytes, on.listener.at);
      on.client.send(channelData(channel, "right"), on.listener.at);
      expect((await on.peer.next()).toString()).toBe("right");
      await rig.expectDropped("malformed", wrong.length);
      await rig.expectDropped("no-channel", 0);
      expect(rig.handed.isEmpty).toBe(true);
    });

    test("a peer without permission is dropped", async () => {
      const on = await scene();
      rig.route(rig.leg(on.via, on.client.at, "indication"), rig.leg(on.relay, anyPort(on.peer.at)));
      const stranger = await rig.udp("127.0.0.9");
      stranger.send("stranger", on.at);
      on.peer.send("peer", on.at);
      expect(Buffer.from(decode(await on.client.next())?.attributes.data ?? []).toString()).toBe("peer");
      await rig.expectDropped("no-permission", 1);
    });
  });

  test("counts payload by transport, family and direction, and by relay", async () => {
    const four = await scene(4);
    const six = await scene(6);
    for (const on of [four, six]) rig.route(...channelLegs(on));
    for (const payload of ["1", "22"]) {
      four.client.send(channelData(channel, payload), four.listener.at);
      await four.peer.next();
    }
    six.peer.send("333", six.at);
    await six.client.next();
    await until(() => rig.relayedPackets === 3);
    expect(rig.plane.counters().relayed).toEqual([
      { transport, family: 4, direction: "to-peer", packets: 2, bytes: 3 },
      { transport, family: 6, direction: "to-client", packets: 1, bytes: 3 },
    ]);
    expect(rig.plane.usage(four.relay)).toEqual({
      toPeer: { packets: 2, bytes: 3 },
      toClient: { packets: 0, bytes: 0 },
    });
    expect(rig.plane.usage(six.relay)).toEqual({
      toPeer: { packets: 0, bytes: 0 },
      toClient: { packets: 1, bytes: 3 },
    });
    expect(rig.plane.counters()).toMatchObject({ relays: 2, connections: isOnUdp ? 0 : 2 });
  });
}
