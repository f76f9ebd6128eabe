// The native plane does what every plane does, on each number of threads and whatever it sends by; and what it has beyond
// that: trains of packets, media while the event loop stands still, and a portable plane inside.

import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import { nativePlane } from "../../src/dataplane/native.ts";
import { encode } from "../../src/stun/message.ts";
import { pad } from "../../src/stun/stream.ts";
import { describePlane } from "./conformance.ts";
import { obstacleToNative } from "./native-obstacle.ts";
import { bind, binding, channel, describeNative, packetsOf, scene } from "./native-stage.ts";
import { channelData, Rig, until } from "./rig.ts";

const obstacle = obstacleToNative();

if (obstacle !== undefined) {
  test(`the native plane says why it cannot be had: ${obstacle.message}`, () => {
    expect(() => new Rig((options) => nativePlane(options))).toThrow(obstacle.message);
  });
}

describeNative(({ rigOf, keep, ways }) => {
  describePlane(
    "as any plane",
    (options, clock) => nativePlane(options, { ...ways, answersBinding: false, forwardsSends: false, clock }),
    ["tcp", "tls"],
  );
  test("keeps ChannelData that comes right behind a request until the controller has answered that", async () => {
    const bound = channel + 1;
    const rig: Rig = rigOf({
      hand: (input) => {
        if (input.is !== "datagram") return rig.handed.put(input);
        // What came behind has been judged when this has passed.
        while (packetsOf(rig, on.relay) === 0) rig.plane.counters();
        bind(rig, on, on.peer.at);
      },
    });
    const on = await scene(rig);
    rig.route(
      rig.leg(on.listener.socket, on.client.at, bound),
      rig.leg(on.relay, { ...on.peer.at, address: "127.0.0.8" }),
    );
    const other = encode({ class: "request", method: 0xabc, transactionId: Buffer.alloc(12), attributes: {} });
    for (const bytes of [
      other,
      channelData(channel, "early"),
      channelData(channel + 2, "for nobody"),
      channelData(bound, ""),
    ])
      on.client.send(bytes, on.listener.at);
    expect((await on.peer.next()).toString()).toBe("early");
    await rig.expectDropped("no-channel", 1);
    expect(rig.plane.usage(on.relay)?.toPeer.packets).toBe(2);
  });

  test("takes trains of packets apart and makes them, in both directions", async () => {
    const rig = rigOf();
    const [far, near] = [await scene(rig), await scene(rig)];
    const payloads = Array.from({ length: 40 }, (_, i) => Buffer.alloc(i === 39 ? 50 : 100, i));
    // Ordered in one go, they leave in one go, from one relay port to the listener, as from a client there.
    const rest = rigOf({ relayAddresses: [{ bind: "127.0.0.5" }] });
    const { relay: sender, at } = await rest.openRelay(4, (await rest.listen("udp")).socket);
    rig.route(rig.leg(near.listener.socket, at, channel), rig.leg(near.relay, near.peer.at));
    for (const payload of payloads) {
      rest.plane.perform({ do: "send", via: sender, to: near.listener.at, bytes: channelData(channel, payload) });
    }
    for (const payload of payloads) expect(await near.peer.next()).toEqual(payload);

    bind(rig, far, at);
    for (const payload of payloads) rest.plane.perform({ do: "send", via: sender, to: far.at, bytes: payload });
    for (const payload of payloads) expect(await far.client.next()).toEqual(channelData(channel, payload));
    expect(rig.plane.usage(far.relay)?.toClient).toEqual({ packets: 40, bytes: 3950 });
  });

  test("goes on while the event loop stands still, and ends routes on time all the same", async () => {
    const now = () => performance.timeOrigin + performance.now();
    const made = () => keep(new Rig((options) => nativePlane({ ...options, now }, ways)));
    const [rig, other] = [made(), made()];
    const { socket, at } = await rig.listen("udp");
    const [here, there] = [await rig.openRelay(4, socket), await other.openRelay()];
    // A packet goes round: from the other plane to our listener, out of our relay port, and back to the other plane.
    const route = (ends: number) =>
      rig.route(rig.leg(socket, there.at, "bare", ends), rig.leg(here.relay, there.at, "bare", ends));
    route(Number.MAX_SAFE_INTEGER);
    other.route(
      other.leg(there.relay, here.at, "bare", Number.MAX_SAFE_INTEGER),
      other.leg(there.relay, at, "bare", Number.MAX_SAFE_INTEGER),
    );
    other.plane.perform({ do: "send", via: there.relay, to: at, bytes: Buffer.of(0x80) });
    await until(() => packetsOf(rig, here.relay) > 0);
    const ends = now() + 100;
    route(ends);
    const before = packetsOf(rig, here.relay);
    while (now() < ends) packetsOf(rig, here.relay);
    const meanwhile = packetsOf(rig, here.relay);
    expect(meanwhile).toBeGreaterThan(before);
    await until(() => rig.plane.counters().dropped.malformed === 1);
    expect(packetsOf(rig, here.relay) - meanwhile).toBeLessThanOrEqual(1);
  });

  test("hands up no more of a flood than its ring holds, and media goes on", async () => {
    const rig = rigOf({}, { handUp: { perAddress: 50, inTotal: 1000 } });
    const on = await scene(rig);
    bind(rig, on, on.peer.at);
    const other = encode({ class: "request", method: 0xabc, transactionId: Buffer.alloc(12), attributes: {} });
    for (let packet = 0; packet < 20; packet += 1) on.client.send(other, on.listener.at);
    on.client.send(channelData(channel, "media"), on.listener.at);
    expect((await on.peer.next()).toString()).toBe("media");
    expect(await rig.handed.take(5)).toHaveLength(5);
    await until(() => rig.plane.counters().dropped.flooded === 15);
    expect(rig.handed.isEmpty).toBe(true);
  });

  test("carries packets between a client on a stream and one on datagrams, from relay port to relay port", async () => {
    for (const external of [undefined, "203.0.113.7"]) {
      const bind_ = "127.0.0.78";
      const relayAddresses = [external === undefined ? { bind: bind_ } : { bind: bind_, external }];
      const rig = rigOf({ relayAddresses, mayReach: () => false });
      const onDatagrams = await scene(rig);
      const tcp = await rig.listen("tcp");
      const client = await rig.tcp(tcp);
      client.send(binding(1));
      const input = await rig.handed.next();
      if (input.is !== "datagram") throw new Error("not a datagram");
      const { relay, at } = await rig.openRelay(4, input.via);
      rig.route(rig.leg(input.via, client.at, channel), rig.leg(relay, onDatagrams.at));
      bind(rig, onDatagrams, at);
      onDatagrams.client.send(channelData(channel, "to the stream"), onDatagrams.listener.at);
      expect(Buffer.from(await client.next())).toEqual(channelData(channel, "to the stream"));
      client.send(pad(channelData(channel, "from the stream")));
      expect(await onDatagrams.client.next()).toEqual(channelData(channel, "from the stream"));
      rig.plane.perform({ do: "close-relay", relay });
      await setImmediate();
      onDatagrams.client.send(channelData(channel, "to nobody"), onDatagrams.listener.at);
      await until(() => rig.plane.counters().dropped["forbidden-peer"] === 1);
    }
  });

  test("ends a circle of routes from relay port to relay port, through what is for streams and what is not", async () => {
    const rig = rigOf({ relayAddresses: [{ bind: "127.0.0.78" }], mayReach: () => false });
    const { socket } = await rig.listen("udp");
    const client = await rig.tcp(await rig.listen("tcp"));
    client.send(binding(1));
    const input = await rig.handed.next();
    if (input.is !== "datagram") throw new Error("not a datagram");
    const [here, next] = [await rig.openRelay(4, socket), await rig.openRelay(4, socket)];
    const [there, back] = [await rig.openRelay(4, input.via), await rig.openRelay(4, input.via)];
    rig.route(rig.leg(here.relay, back.at), rig.leg(next.relay, there.at));
    rig.route(rig.leg(there.relay, next.at), rig.leg(back.relay, here.at));
    rig.plane.perform({ do: "send", via: next.relay, to: there.at, bytes: Buffer.from("round and round") });
    await until(() => rig.plane.counters().dropped["forbidden-peer"] === 1);
    expect(packetsOf(rig, next.relay)).toBeLessThan(5);
  });

  test("opens no relay port for whom it may have no room for routes, and says where it has none", async () => {
    const rig = rigOf({}, { relays: 4 });
    const on = await scene(rig);
    expect(rig.plane.abilities.hasRoom?.(on.relay)).toBe(true);
    for (let number = channel; number < channel + 14; number += 1) {
      rig.route(rig.leg(on.listener.socket, on.client.at, number), rig.leg(on.relay, { ...on.peer.at, port: number }));
    }
    // Neither what a thread has yet to be told of is forgotten, nor what it has.
    expect(rig.plane.abilities.hasRoom?.(on.relay)).toBe(false);
    on.peer.send("from a stranger", on.at);
    await rig.expectDropped("no-permission", 1);
    expect(rig.plane.abilities.hasRoom?.(on.relay)).toBe(false);
    const { socket: via } = on.listener;
    const open = async () => {
      const relay = rig.newSocketId();
      rig.plane.perform({ do: "open-relay", relay, family: 4, via, client: on.client.at });
      return (await rig.handed.next()).is;
    };
    expect(await open()).toBe("relay-failed");
    rig.plane.perform({ do: "close-relay", relay: on.relay });
    await until(() => rig.facts.length === 1);
    expect(await open()).toBe("relay-opened");
  });

  test("with no room for more routes still takes those again that it has", async () => {
    const rig = rigOf({}, { relays: 1 });
    const on = await scene(rig);
    const legs = [rig.leg(on.listener.socket, on.client.at, channel), rig.leg(on.relay, on.peer.at)] as const;
    const ends = rig.now + 10;
    const carries = async (payload: string) => {
      on.client.send(channelData(channel, payload), on.listener.at);
      expect((await on.peer.next()).toString()).toBe(payload);
    };
    rig.route({ ...legs[0], until: ends }, legs[1]);
    for (let number = channel + 1; number < channel + 20; number += 1) {
      rig.route(rig.leg(on.listener.socket, on.client.at, number), rig.leg(on.relay, { ...on.peer.at, port: number }));
    }
    await carries("full");
    expect(rig.plane.counters().dropped.congested).toBeGreaterThan(0);
    rig.route(...legs);
    await carries("taken again");
    rig.now = ends;
    await carries("alive");
  });
});
