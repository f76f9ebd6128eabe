// Which way a packet goes between clients on datagrams and their peers, and what stops it.

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Endpoint, Family, Leg, Listener, Millis, SocketId, Transport } from "../../../src/contract.ts";
import { decode, encode } from "../../../src/stun/message.ts";
import { Method } from "../../../src/stun/methods.ts";
import { anyPort, channelData, loopback, type Make, Rig, type UdpEnd, until } from "../rig.ts";

const channel = 0x4001;

/** A client's socket, or what stands for one. */
export type ClientEnd = Pick<UdpEnd, "at" | "send" | "next" | "nextFrom" | "close">;

/** What clients are on. */
export interface Clients {
  readonly transport: Transport;
  /** The most that one packet carries; at least nothing, or one byte. */
  readonly bytes: readonly [least: 0 | 1, most: number];
  /** A client, and what it is to the controller. Nothing that it sent on its way in is left. */
  join(rig: Rig, listener: Listener, family: Family): Promise<{ readonly client: ClientEnd; readonly via: SocketId }>;
}

const onUdp: Clients = {
  transport: "udp",
  bytes: [0, 65_507],
  join: async (rig, { socket }, family) => ({ client: await rig.udp(loopback[family]), via: socket }),
};

/** One client with one relay port, and one peer. */
interface Scene {
  readonly listener: Listener;
  readonly via: SocketId;
  readonly client: ClientEnd;
  readonly peer: UdpEnd;
  readonly relay: SocketId;
  readonly at: Endpoint;
}

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

  async function scene(family: Family = 4): Promise<Scene> {
    const listener = await rig.listen(transport, family);
    const { client, via } = await clients.join(rig, listener, family);
    const { relay, at } = await rig.openRelay(family, via);
    return { listener, via, client, peer: await rig.udp(loopback[family]), relay, at };
  }

  function channelLegs({ via, client, peer, relay }: Scene, number = channel): [Leg, Leg] {
    return [rig.leg(via, client.at, number), rig.leg(relay, peer.at)];
  }

  function permissionLegs({ via, client, peer, relay }: Scene): [Leg, Leg] {
    return [rig.leg(via, client.at, "indication"), rig.leg(relay, anyPort(peer.at))];
  }

  /** Says so if anything went to this peer before: a marker sent now is what arrives first. */
  async function expectNothingBefore(end: UdpEnd): Promise<void> {
    const other = await rig.udp(end.at.address);
    other.send("marker", end.at);
    expect((await end.next()).toString()).toBe("marker");
  }

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

  describe("a client that is expected", () => {
    function expectFrom({ via, client }: Pick<Scene, "via" | "client">, until: Millis): void {
      rig.plane.perform({ do: "expect", via, from: client.at, until });
    }

    test("has its ChannelData handed up, until then or for as long as it is expected", async () => {
      const on = await scene();
      rig.route(...channelLegs(on));
      const frame = channelData(channel, "here");
      expectFrom(on, rig.now + 1000);
      on.client.send(channelData(channel, "routed"), on.listener.at);
      expect((await on.peer.next()).toString()).toBe("routed");
      const joined = await clients.join(rig, on.listener, 4);
      const other = joined.client;
      expectFrom(joined, rig.now + 1000);
      other.send(frame, on.listener.at);
      const { is, via, from, bytes } = { via: 0, from: other.at, bytes: Buffer.alloc(0), ...(await rig.handed.next()) };
      expect({ is, via, from, bytes: Buffer.from(bytes) }).toEqual({
        is: "datagram",
        via: joined.via,
        from: other.at,
        bytes: frame,
      });
      rig.now += 999;
      other.send(frame, on.listener.at);
      expect(await rig.handed.next()).toMatchObject({ is: "datagram", from: other.at });
      rig.now += 1;
      other.send(frame, on.listener.at);
      await rig.expectDropped("no-channel", 1);
      expectFrom(joined, rig.now + 1000);
      expectFrom(joined, 0);
      other.send(frame, on.listener.at);
      await rig.expectDropped("no-channel", 2);
    });

    test.each([1, 2, 3, 4, 5, 6])(
      "is served through the same relay port once its routes are there, %d times",
      async (times) => {
        let on = await scene();
        rig.route(...channelLegs(on));
        for (let time = 0; time < times; time++) on = await move(on, await clients.join(rig, on.listener, 4));
        on.client.send(channelData(channel, "out"), on.listener.at);
        expect(await on.peer.nextFrom()).toEqual({ bytes: Buffer.from("out"), from: on.at });
        on.peer.send("in", on.at);
        expect(await on.client.next()).toEqual(channelData(channel, "in"));
      },
    );

    async function move(former: Scene, to: Pick<Scene, "via" | "client">): Promise<Scene> {
      const on = { ...former, ...to };
      rig.route(...channelLegs(on));
      rig.unroute(...channelLegs(former));
      const dropped = rig.plane.counters().dropped["no-channel"];
      former.client.send(channelData(channel, "from before"), on.listener.at);
      await rig.expectDropped("no-channel", dropped + 1);
      return on;
    }
  });

  describe("a route ends", () => {
    /** That the route of `channel` carries nothing any more, in neither direction. */
    async function expectEnded(on: Scene): Promise<void> {
      const dropped = rig.plane.counters().dropped["no-channel"];
      const other = await rig.udp(on.peer.at.address);
      rig.route(...channelLegs({ ...on, peer: other }, channel + 9));
      on.client.send(channelData(channel, "late"), on.listener.at);
      on.client.send(channelData(channel + 9, "marker"), on.listener.at);
      expect((await other.next()).toString()).toBe("marker");
      on.peer.send("late", on.at);
      other.send("marker", on.at);
      expect(await on.client.next()).toEqual(channelData(channel + 9, "marker"));
      await expectNothingBefore(on.peer);
      await rig.expectDropped("no-channel", dropped + 1);
    }

    test.each(["client", "peer"] as const)("when the %s's leg does, and not before", async (side) => {
      const on = await scene();
      const [client, peer] = channelLegs(on);
      const until = rig.now + 5000;
      rig.route(side === "client" ? { ...client, until } : client, side === "peer" ? { ...peer, until } : peer);
      rig.now = until - 1;
      on.client.send(channelData(channel, "alive"), on.listener.at);
      expect((await on.peer.next()).toString()).toBe("alive");
      on.peer.send("alive", on.at);
      expect(await on.client.next()).toEqual(channelData(channel, "alive"));
      rig.now = until;
      await expectEnded(on);
    });

    test("later when it is sent again with a later end", async () => {
      const on = await scene();
      const [client, peer] = channelLegs(on);
      rig.route({ ...client, until: rig.now + 10 }, peer);
      rig.route({ ...client, until: rig.now + 20 }, peer);
      rig.now += 19;
      on.client.send(channelData(channel, "alive"), on.listener.at);
      expect((await on.peer.next()).toString()).toBe("alive");
      rig.now += 1;
      await expectEnded(on);
    });

    test("when it is unrouted, whatever end is named", async () => {
      const on = await scene();
      const [client, peer] = channelLegs(on);
      rig.route(client, peer);
      rig.unroute({ ...client, until: 0 }, { ...peer, until: 0 });
      await expectEnded(on);
    });

    test("when another route claims one of its legs, and unrouting it then does not end the other", async () => {
      const on = await scene();
      rig.route(...channelLegs(on));
      rig.route(...channelLegs(on, channel + 1));
      rig.unroute(...channelLegs(on));
      on.client.send(channelData(channel, "late"), on.listener.at);
      on.client.send(channelData(channel + 1, "out"), on.listener.at);
      expect((await on.peer.next()).toString()).toBe("out");
      on.peer.send("in", on.at);
      expect(await on.client.next()).toEqual(channelData(channel + 1, "in"));
    });
  });

  describe("the machine's own packets", () => {
    test("leave by a listener to a client and by a relay port to a peer", async () => {
      const on = await scene();
      rig.plane.perform({ do: "send", via: on.via, to: on.client.at, bytes: Buffer.from("answer") });
      rig.plane.perform({ do: "send", via: on.relay, to: on.peer.at, bytes: Buffer.from("indicated") });
      expect(await on.client.nextFrom()).toEqual({ bytes: Buffer.from("answer"), from: on.listener.at });
      expect(await on.peer.nextFrom()).toEqual({ bytes: Buffer.from("indicated"), from: on.at });
      await until(() => rig.relayedPackets === 1);
      expect(rig.plane.usage(on.relay)?.toPeer).toEqual({ packets: 1, bytes: 9 });
    });

    test("to nowhere are harmless", async () => {
      const on = await scene();
      // Over a session there is nowhere but its client.
      for (const via of [...(isOnUdp ? [on.via] : []), on.relay, rig.newSocketId()]) {
        for (const to of [
          { address: "127.0.0.1", port: 0 },
          { address: "255.255.255.255", port: 9 },
          { address: "::1", port: 9 },
        ]) {
          rig.plane.perform({ do: "send", via, to, bytes: Buffer.from("nowhere") });
        }
      }
      rig.plane.perform({ do: "send", via: on.via, to: on.client.at, bytes: Buffer.alloc(70_000) });
      rig.plane.perform({ do: "send", via: on.via, to: on.client.at, bytes: Buffer.from("somewhere") });
      expect((await on.client.next()).toString()).toBe("somewhere");
    });
  });

  describe("a peer that may not be reached", () => {
    test("gets nothing, by no way", async () => {
      const on = await scene();
      rig.mayReach = () => false;
      rig.route(...channelLegs(on));
      on.client.send(channelData(channel, "forbidden"), on.listener.at);
      rig.plane.perform({ do: "send", via: on.relay, to: on.peer.at, bytes: Buffer.from("forbidden") });
      on.client.send(Buffer.from("malformed"), on.listener.at);
      const probe = encode({ class: "request", method: 1, transactionId: Buffer.alloc(12), attributes: {} });
      on.client.send(probe, on.listener.at);
      await rig.handed.next();
      await rig.expectDropped("forbidden-peer", 2);
      await expectNothingBefore(on.peer);
      expect(rig.plane.usage(on.relay)?.toPeer.packets).toBe(0);
    });

    test("is asked about by its full address; clients are not asked about", async () => {
      const on = await scene();
      rig.route(...permissionLegs(on));
      rig.route(...channelLegs(on));
      on.client.send(channelData(channel, "out"), on.listener.at);
      await on.peer.next();
      on.peer.send("in", on.at);
      await on.client.next();
      expect(new Set(rig.asked)).toEqual(new Set([on.peer.at]));
    });

    test("is reached once policy allows it and the route is sent again", async () => {
      const on = await scene();
      rig.mayReach = () => false;
      rig.route(...channelLegs(on));
      rig.mayReach = () => true;
      rig.route(...channelLegs(on));
      on.client.send(channelData(channel, "allowed"), on.listener.at);
      expect((await on.peer.next()).toString()).toBe("allowed");
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
