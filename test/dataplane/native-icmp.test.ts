// ICMP errors about what left by relay ports of the native plane: they are handed up, and cost no other packet its way.

import { afterEach, describe, expect, test } from "vitest";
import type { Endpoint, Family, Input, Listener, SocketId } from "../../src/contract.ts";
import { nativePlane } from "../../src/dataplane/native.ts";
import { obstacleToNative } from "./native-obstacle.ts";
import { channelData, loopback, Rig, type UdpEnd, udpEnd, until } from "./rig.ts";

const channel = 0x4001;
const channelToNobody = 0x4002;
const payloads = Array.from({ length: 100 }, (_, i) => `packet ${i}`);
/** Packets that do not grow leave together, and bring one error for all. */
const growing = (count: number) => Array.from({ length: count }, (_, i) => Buffer.alloc(i));
const unreachable = { 4: { type: 3, code: 3 }, 6: { type: 1, code: 4 } } as const;

/** A client with a relay port, a peer, and a port at which there is nobody. */
interface Scene {
  readonly listener: Listener;
  readonly client: UdpEnd;
  readonly peer: UdpEnd;
  readonly nobody: Endpoint;
  readonly relay: SocketId;
  readonly at: Endpoint;
}

// Who could build the plane can be told of errors.
describe.runIf(obstacleToNative() === undefined).each([
  { threads: 1, byRing: true },
  { threads: 2, byRing: true },
  { threads: 2, byRing: false },
])("on $threads threads, by io_uring: $byRing, an ICMP error", (ways) => {
  const rigs: Rig[] = [];
  afterEach(async () => {
    await Promise.all(rigs.splice(0).map((rig) => rig.close()));
  });

  function rigOf(): Rig {
    const rig = new Rig((given, clock) => nativePlane(given, { ...ways, clock }));
    rigs.push(rig);
    return rig;
  }

  async function scene(rig: Rig, family: Family = 4): Promise<Scene> {
    const listener = await rig.listen("udp", family);
    const [client, peer] = [await rig.udp(loopback[family]), await rig.udp(loopback[family])];
    const gone = await udpEnd(loopback[family]);
    const relay = rig.newSocketId();
    rig.plane.perform({ do: "open-relay", relay, family, via: listener.socket, client: client.at });
    const input = await rig.handed.next();
    if (input.is !== "relay-opened") throw new Error(`handed ${JSON.stringify(input)}`);
    bind(rig, { listener, client, relay }, peer.at, channel);
    bind(rig, { listener, client, relay }, gone.at, channelToNobody);
    await gone.close();
    return { listener, client, peer, relay, nobody: gone.at, at: input.at };
  }

  function bind(
    rig: Rig,
    { listener, client, relay }: Pick<Scene, "listener" | "client" | "relay">,
    peer: Endpoint,
    number: number,
  ): void {
    rig.route(rig.leg(listener.socket, client.at, number), rig.leg(relay, peer));
  }

  async function nextError(rig: Rig): Promise<Extract<Input, { is: "icmp" }>> {
    const input = await rig.handed.next();
    if (input.is !== "icmp") throw new Error(`handed ${JSON.stringify(input)}`);
    return input;
  }

  test.each([4, 6] as const)("over IPv%d comes up with the peer that the packet was for", async (family) => {
    const rig = rigOf();
    const on = await scene(rig, family);
    on.client.send(channelData(channelToNobody, "anyone?"), on.listener.at);
    expect(await nextError(rig)).toMatchObject({ relay: on.relay, peer: on.nobody, ...unreachable[family] });
    expect(rig.plane.counters().dropped).toMatchObject({ congested: 0, flooded: 0 });
  });

  test.each([4, 6] as const)("over IPv%d costs no packet to another peer its way", async (family) => {
    const rig = rigOf();
    const on = await scene(rig, family);
    for (const payload of payloads) {
      on.client.send(channelData(channelToNobody, "anyone?"), on.listener.at);
      on.client.send(channelData(channel, payload), on.listener.at);
    }
    // One that has to be sent twice leaves behind others.
    const came = new Set<string>();
    for (const _ of payloads) came.add((await on.peer.next()).toString());
    expect(came).toEqual(new Set(payloads));
    expect(rig.plane.counters().dropped.congested).toBe(0);
  });

  test("costs no packet its way that peers send meanwhile", async () => {
    const rig = rigOf();
    const on = await scene(rig);
    for (const payload of payloads) {
      on.client.send(channelData(channelToNobody, "anyone?"), on.listener.at);
      on.peer.send(payload, on.at);
      expect(await on.client.next()).toEqual(channelData(channel, payload));
    }
  });

  test("comes up no more often than ten times at once and ten times a second, and media goes on", async () => {
    const rig = rigOf();
    const on = await scene(rig);
    const flood = async () => {
      for (const bytes of growing(100)) on.client.send(channelData(channelToNobody, bytes), on.listener.at);
      on.client.send(channelData(channel, "media"), on.listener.at);
      await on.peer.next();
    };
    await flood();
    for (let i = 0; i < 10; i++) await nextError(rig);
    rig.now += 500;
    await flood();
    for (let i = 0; i < 5; i++) await nextError(rig);
    expect(rig.handed.isEmpty).toBe(true);
    // The system forgets some, too, when they are too many to be read.
    await until(() => rig.plane.counters().dropped.flooded > 0);
  });

  test("comes up no more often than a thousand times at once and two thousand times a second in all", async () => {
    const rig = rigOf();
    const { listener, client, nobody } = await scene(rig);
    const each = 10;
    const strike = (relay: SocketId, count: number) => {
      for (const bytes of growing(count)) rig.plane.perform({ do: "send", via: relay, to: nobody, bytes });
    };
    // All ports of a client are one thread's.
    const open = async () => (await rig.openRelay(4, listener.socket, undefined, client.at)).relay;
    for (let port = 0; port < 1000 / ways.threads / each; port++) {
      strike(await open(), each);
      for (let i = 0; i < each; i++) await nextError(rig);
    }
    strike(await open(), each);
    await rig.expectDropped("flooded", each);
    rig.now += ways.threads;
    strike(await open(), 3);
    for (let i = 0; i < 2; i++) await nextError(rig);
    await rig.expectDropped("flooded", each + 1);
    expect(rig.handed.isEmpty).toBe(true);
  });

  test("is one of few that are read at once, and the others are forgotten", async () => {
    const rig = rigOf();
    const on = await scene(rig);
    for (const bytes of growing(60)) rig.plane.perform({ do: "send", via: on.relay, to: on.nobody, bytes });
    for (let i = 0; i < 10; i++) await nextError(rig);
    await until(() => rig.plane.counters().dropped.flooded > 0);
    // By the second answer, whatever else there was has been read.
    for (let turn = 0; turn < 2; turn++) {
      on.peer.send("media", on.at);
      await on.client.next();
    }
    expect(rig.plane.counters().dropped.flooded).toBeLessThan(20);
  });

  test("comes up, too, when the call that failed for it was another packet's", async () => {
    const rig = rigOf();
    const on = await scene(rig);
    on.peer.send("first", on.at);
    await on.client.next();
    for (const to of [on.nobody, on.peer.at])
      rig.plane.perform({ do: "send", via: on.relay, to, bytes: Buffer.from("anyone?") });
    expect((await on.peer.next()).toString()).toBe("anyone?");
    expect(await nextError(rig)).toMatchObject({ relay: on.relay, peer: on.nobody });
  });

  test("about what a listener sent to a client that is gone harms nobody, and is told to nobody", async () => {
    const rig = rigOf();
    const on = await scene(rig);
    const gone = await udpEnd(loopback[4]);
    const { relay, at } = await rig.openRelay(4, on.listener.socket);
    bind(rig, { listener: on.listener, client: gone, relay }, on.peer.at, channel);
    await gone.close();
    for (const payload of payloads) {
      on.peer.send("anyone?", at);
      on.client.send(channelData(channel, payload), on.listener.at);
      expect((await on.peer.next()).toString()).toBe(payload);
      on.peer.send(payload, on.at);
      expect(await on.client.next()).toEqual(channelData(channel, payload));
    }
    await until(() => rig.plane.usage(relay)?.toClient.packets === payloads.length);
    expect(rig.handed.isEmpty).toBe(true);
    expect(rig.plane.counters().dropped.congested).toBe(0);
  });

  test("is nobody's once its relay port is closed", async () => {
    const rig = rigOf();
    const on = await scene(rig);
    rig.plane.perform({ do: "send", via: on.relay, to: on.nobody, bytes: Buffer.from("anyone?") });
    rig.plane.perform({ do: "close-relay", relay: on.relay });
    await until(() => rig.facts.some(({ fact }) => fact === "relay-closed"));
    expect(rig.handed.isEmpty).toBe(true);
  });
});
