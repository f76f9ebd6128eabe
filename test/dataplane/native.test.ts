import { createHmac } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import type { Endpoint, Listener, PlaneOptions, SocketId } from "../../src/contract.ts";
import { nativePlane } from "../../src/dataplane/native.ts";
import type { NativeOptions } from "../../src/dataplane/native-options.ts";
import type { Attributes } from "../../src/stun/attributes.ts";
import { decode, encode } from "../../src/stun/message.ts";
import { Method } from "../../src/stun/methods.ts";
import { pad } from "../../src/stun/stream.ts";
import { describePlane } from "./conformance.ts";
import { obstacleToNative } from "./native-obstacle.ts";
import { anyPort, channelData, Rig, type UdpEnd, until } from "./rig.ts";

const obstacle = obstacleToNative();
const channel = 0x4001;

if (obstacle !== undefined) {
  test(`the native plane says why it cannot be had: ${obstacle.message}`, () => {
    expect(() => new Rig((options) => nativePlane(options))).toThrow(obstacle.message);
  });
} else {
  // Where the kernel has no io_uring, what is to go by it goes by calls as well.
  describe.each([
    { threads: 1, byRing: true },
    { threads: 2, byRing: true },
    { threads: 2, byRing: false },
  ])("on $threads threads, by io_uring: $byRing", (ways) => {
    describePlane("the native plane", (options, clock) =>
      nativePlane(options, { ...ways, answersBinding: false, forwardsSends: false, clock }),
    );
    describe("the native plane", () => describeNative(ways));
  });
}

/** A client with a relay port, and a peer. */
interface Scene {
  readonly listener: Listener;
  readonly client: UdpEnd;
  readonly peer: UdpEnd;
  readonly relay: SocketId;
  readonly at: Endpoint;
}

function binding(mark: number): Uint8Array {
  return encode({ class: "request", method: Method.binding, transactionId: Buffer.alloc(12, mark), attributes: {} });
}

function allocate(mark: number): Uint8Array {
  const attributes = { requestedTransport: 17 };
  return encode({ class: "request", method: Method.allocate, transactionId: Buffer.alloc(12, mark), attributes });
}

/** Which nonce it puts into its answer does not matter here. */
const challenge = {
  secret: new Uint8Array(32),
  answers: [
    {
      bytes: encode({
        class: "error",
        method: Method.allocate,
        transactionId: Buffer.alloc(12),
        attributes: { errorCode: { code: 401, reason: "" }, nonce: "A".repeat(15) },
      }),
      stampAt: 20 + 8 + 4,
      context: new Uint8Array(),
    },
  ],
} as const;

function sendIndication(peer: Endpoint, payload: string, further: Attributes = {}): Uint8Array {
  return encode({
    class: "indication",
    method: Method.send,
    transactionId: Buffer.alloc(12, 7),
    attributes: { ...further, xorPeerAddress: [peer], data: Buffer.from(payload) },
  });
}

function describeNative(ways: Pick<NativeOptions, "threads" | "byRing">): void {
  const rigs: Rig[] = [];
  afterEach(async () => {
    await Promise.all(rigs.splice(0).map((rig) => rig.close()));
  });

  function rigOf(options: Partial<PlaneOptions> = {}, native: NativeOptions = {}): Rig {
    const rig = new Rig((given, clock) => nativePlane(given, { ...ways, clock, ...native }), options);
    rigs.push(rig);
    return rig;
  }

  async function scene(rig: Rig): Promise<Scene> {
    const [listener, client, peer] = [await rig.listen("udp"), await rig.udp(), await rig.udp("127.0.0.9")];
    const relay = rig.newSocketId();
    rig.plane.perform({ do: "open-relay", relay, family: 4, via: listener.socket, client: client.at });
    const input = await rig.handed.next();
    if (input.is !== "relay-opened") throw new Error(`handed ${JSON.stringify(input)}`);
    return { listener, client, peer, relay, at: input.at };
  }

  function permit(rig: Rig, { listener, client, relay }: Scene, peer: Endpoint): void {
    rig.route(rig.leg(listener.socket, client.at, "indication"), rig.leg(relay, anyPort(peer)));
  }

  function bind(rig: Rig, { listener, client, relay }: Scene, peer: Endpoint): void {
    rig.route(rig.leg(listener.socket, client.at, channel), rig.leg(relay, peer));
  }

  function packetsOf(rig: Rig, relay: SocketId): number {
    return rig.plane.usage(relay)?.toPeer.packets ?? 0;
  }

  async function nextHandedUp(rig: Rig): Promise<Buffer> {
    const input = await rig.handed.next();
    if (input.is !== "datagram") throw new Error(`handed ${JSON.stringify(input)}`);
    return Buffer.from(input.bytes);
  }

  test("answers a Binding request without the controller, and counts that", async () => {
    const rig = rigOf();
    const { listener, client } = await scene(rig);
    client.send(binding(1), listener.at);
    expect(decode(await client.next())).toMatchObject({
      class: "success",
      transactionId: Buffer.alloc(12, 1),
      attributes: { xorMappedAddress: client.at },
    });
    expect(rig.handed.isEmpty).toBe(true);
    expect(rig.plane.counters().bindings).toBe(1);
  });

  test("answers no Binding request for as long as the controller is to have them all", async () => {
    const rig = rigOf();
    const { listener, client } = await scene(rig);
    rig.plane.perform({ do: "hand-up-bindings", until: rig.now + 1000 });
    client.send(binding(1), listener.at);
    expect(await nextHandedUp(rig)).toEqual(Buffer.from(binding(1)));
    rig.now += 1000;
    client.send(binding(2), listener.at);
    expect(decode(await client.next())).toMatchObject({ class: "success", transactionId: Buffer.alloc(12, 2) });
    expect(rig.handed.isEmpty).toBe(true);
  });

  test("answers strangers at one network no more Binding requests than their share, and clients with routes all", async () => {
    const rig = rigOf({}, { replyRate: { repliesPerSecond: 5, burst: 5 } });
    const on = await scene(rig);
    bind(rig, on, on.peer.at);
    const [stranger, neighbour, other] = [await rig.udp(), await rig.udp("127.0.0.55"), await rig.udp("127.0.1.1")];
    for (let mark = 0; mark < 5; mark += 1) stranger.send(binding(mark), on.listener.at);
    for (let mark = 0; mark < 5; mark += 1) await stranger.next();
    neighbour.send(binding(5), on.listener.at);
    await rig.expectDropped("flooded", 1);
    for (const [mark, end] of [on.client, other].entries()) {
      end.send(binding(mark), on.listener.at);
      expect(decode(await end.next())).toMatchObject({ class: "success", transactionId: Buffer.alloc(12, mark) });
    }

    rig.now += 200;
    for (let mark = 6; mark < 8; mark += 1) neighbour.send(binding(mark), on.listener.at);
    expect(decode(await neighbour.next())).toMatchObject({ transactionId: Buffer.alloc(12, 6) });
    await rig.expectDropped("flooded", 2);
    expect(rig.handed.isEmpty).toBe(true);
  });

  test("challenges strangers without the controller when told how, and no more when told that", async () => {
    const rig = rigOf();
    const { listener, client } = await scene(rig);
    rig.plane.perform({ do: "challenge", by: challenge });
    client.send(allocate(1), listener.at);
    expect(decode(await client.next())).toMatchObject({
      class: "error",
      transactionId: Buffer.alloc(12, 1),
      attributes: { errorCode: { code: 401 } },
    });
    expect(rig.handed.isEmpty).toBe(true);
    expect(rig.plane.counters().challenges).toBe(1);
    rig.plane.perform({ do: "challenge", by: undefined });
    client.send(allocate(2), listener.at);
    expect(await nextHandedUp(rig)).toEqual(allocate(2));
  });

  test("hands up what it cannot write an answer to", async () => {
    const rig = rigOf();
    const { listener, client } = await scene(rig);
    const [answer] = challenge.answers;
    const tooLong = { ...answer, bytes: Buffer.concat([answer.bytes, Buffer.alloc(200)]) };
    rig.plane.perform({ do: "challenge", by: { ...challenge, answers: [tooLong] } });
    client.send(allocate(1), listener.at);
    expect(await nextHandedUp(rig)).toEqual(allocate(1));
  });

  test("makes an HMAC as node:crypto does", () => {
    const { hmac } = rigOf().plane.abilities;
    const text = fc.uint8Array({ maxLength: 300 });
    fc.assert(
      fc.property(
        fc.constantFrom("sha1", "sha256"),
        text,
        fc.array(text, { maxLength: 3 }),
        (algorithm, key, parts) => {
          const expected = createHmac(algorithm, key).update(Buffer.concat(parts)).digest();
          expect(hmac?.(algorithm, key, ...parts)).toEqual(expected);
        },
      ),
    );
  });

  test("leaves it to the controller where not everybody may come in", () => {
    expect(rigOf().plane.abilities.challenges).toBe(true);
    expect(rigOf({ mayEnter: () => true }).plane.abilities.challenges).toBe(false);
  });

  test("a flood of strangers is answered within its share and does not reach the controller", async () => {
    const rig = rigOf({}, { replyRate: { repliesPerSecond: 5, burst: 5 } });
    const on = await scene(rig);
    bind(rig, on, on.peer.at);
    rig.plane.perform({ do: "challenge", by: challenge });
    for (let mark = 0; mark < 20; mark += 1) on.client.send(allocate(mark), on.listener.at);
    for (let mark = 0; mark < 5; mark += 1) await on.client.next();
    await rig.expectDropped("flooded", 15);
    expect(rig.handed.isEmpty).toBe(true);
  });

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

  test("forwards Send indications to where the controller has sent before, and no others", async () => {
    const rig = rigOf();
    const on = await scene(rig);
    permit(rig, on, on.peer.at);
    const first = sendIndication(on.peer.at, "first");
    on.client.send(first, on.listener.at);
    expect(await nextHandedUp(rig)).toEqual(first);
    rig.plane.perform({ do: "send", via: on.relay, to: on.peer.at, bytes: Buffer.from("first") });
    expect((await on.peer.next()).toString()).toBe("first");

    on.client.send(sendIndication(on.peer.at, "second"), on.listener.at);
    expect(await on.peer.nextFrom()).toEqual({ bytes: Buffer.from("second"), from: on.at });
    expect(rig.handed.isEmpty).toBe(true);
    expect(rig.plane.usage(on.relay)?.toPeer).toEqual({ packets: 2, bytes: 11 });

    const elsewhere = sendIndication({ ...on.peer.at, port: on.listener.at.port }, "elsewhere");
    on.client.send(elsewhere, on.listener.at);
    expect(await nextHandedUp(rig)).toEqual(elsewhere);
  });

  test("sends unfragmented what it is told to, and asks about every Send indication with DONT-FRAGMENT", async () => {
    const rig = rigOf();
    const on = await scene(rig);
    permit(rig, on, on.peer.at);
    const told = { do: "send", via: on.relay, to: on.peer.at } as const;
    for (const [payload, dontFragment] of [["in pieces"], ["whole", true], ["in pieces again"]] as const) {
      rig.plane.perform({ ...told, bytes: Buffer.from(payload), ...(dontFragment ? { dontFragment } : {}) });
      expect((await on.peer.next()).toString()).toBe(payload);
    }
    const whole = sendIndication(on.peer.at, "whole", { dontFragment: true });
    on.client.send(whole, on.listener.at);
    expect(await nextHandedUp(rig)).toEqual(whole);
    expect(rig.plane.usage(on.relay)?.toPeer.packets).toBe(3);
  });

  test("forwards no Send indication once its permission has ended", async () => {
    const rig = rigOf();
    const on = await scene(rig);
    permit(rig, on, on.peer.at);
    rig.plane.perform({ do: "send", via: on.relay, to: on.peer.at, bytes: Buffer.from("opens the port") });
    await on.peer.next();
    rig.now += 60_000;
    const late = sendIndication(on.peer.at, "late");
    on.client.send(late, on.listener.at);
    expect(await nextHandedUp(rig)).toEqual(late);
  });

  test("forwards no Send indication to a peer that policy forbids, whatever the controller sends", async () => {
    const rig = rigOf({ mayReach: () => false });
    const on = await scene(rig);
    permit(rig, on, on.peer.at);
    rig.plane.perform({ do: "send", via: on.relay, to: on.peer.at, bytes: Buffer.from("forbidden") });
    const again = sendIndication(on.peer.at, "again");
    on.client.send(again, on.listener.at);
    expect(await nextHandedUp(rig)).toEqual(again);
    expect(rig.plane.counters().dropped["forbidden-peer"]).toBe(1);
  });

  test("delivers a Send indication for another of its relay ports, and asks about its other ports", async () => {
    const rig = rigOf({ mayReach: () => false });
    const [alice, bob] = [await scene(rig), await scene(rig)];
    permit(rig, alice, bob.at);
    bind(rig, bob, alice.at);
    alice.client.send(sendIndication(bob.at, "hello"), alice.listener.at);
    expect(await bob.client.next()).toEqual(channelData(channel, "hello"));
    expect(rig.plane.usage(alice.relay)?.toPeer.packets).toBe(1);
    expect(rig.plane.usage(bob.relay)?.toClient.packets).toBe(1);
    expect(rig.handed.isEmpty).toBe(true);

    const service = sendIndication({ ...bob.at, port: alice.listener.at.port }, "a service of ours");
    alice.client.send(service, alice.listener.at);
    expect(await nextHandedUp(rig)).toEqual(service);
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
    const [rig, other] = [0, 1].map(() => {
      const made = new Rig((options) => nativePlane({ ...options, now }, ways));
      rigs.push(made);
      return made;
    }) as [Rig, Rig];
    const { socket, at } = await rig.listen("udp");
    const [here, there] = [await rig.openRelay(4, socket), await other.openRelay()];
    // A packet goes round: from the other plane to our listener, out of our relay port, and back to the other plane.
    const ends = now() + 100;
    rig.route(rig.leg(socket, there.at, "bare", ends), rig.leg(here.relay, there.at, "bare", ends));
    other.route(
      other.leg(there.relay, here.at, "bare", Number.MAX_SAFE_INTEGER),
      other.leg(there.relay, at, "bare", Number.MAX_SAFE_INTEGER),
    );
    other.plane.perform({ do: "send", via: there.relay, to: at, bytes: Buffer.of(0x80) });
    await until(() => packetsOf(rig, here.relay) > 0);
    while (now() < ends) packetsOf(rig, here.relay);
    const before = packetsOf(rig, here.relay);
    expect(before).toBeGreaterThan(10);
    await until(() => rig.plane.counters().dropped.malformed === 1);
    expect(packetsOf(rig, here.relay) - before).toBeLessThanOrEqual(1);
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
}
