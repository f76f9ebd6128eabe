import { afterEach, describe, expect, test, vi } from "vitest";
import type { Listener, TrafficLimit } from "../../src/contract.ts";
import { portableLimits, portablePlane } from "../../src/dataplane/portable.ts";
import { describePlane } from "./conformance.ts";
import { channelData, Rig, until } from "./rig.ts";

describePlane("the portable plane", (options) => portablePlane(options));

let rig: Rig;
afterEach(async () => {
  await rig?.close();
  vi.useRealTimers();
});

describe("a flood of STUN", () => {
  test("is dropped beyond what the controller takes at once, counted, and stops no media", async () => {
    const handUp = { perAddress: 50, inTotal: 1000 };
    rig = new Rig((options) => portablePlane(options, { ...portableLimits, handUp }));
    const listener = await rig.listen("udp");
    const { relay } = await rig.openRelay(4, listener.socket);
    const [client, peer] = [await rig.udp(), await rig.udp()];
    rig.route(rig.leg(listener.socket, client.at, 0x4000), rig.leg(relay, peer.at));
    for (let packet = 0; packet < 20; packet += 1) client.send(Buffer.alloc(20), listener.at);
    client.send(channelData(0x4000, "media"), listener.at);
    expect((await peer.next()).toString()).toBe("media");
    expect(rig.plane.counters().dropped.flooded).toBe(15);
    expect(await rig.handed.take(5)).toHaveLength(5);
    expect(rig.handed.isEmpty).toBe(true);

    rig.now += 1000;
    client.send(Buffer.alloc(20), listener.at);
    expect(await rig.handed.next()).toMatchObject({ is: "datagram" });
  });
});

describe("limits on traffic", () => {
  const total = { bucket: "total", packetsPerSecond: 5 };

  /** A relay port with limits, and a channel over it. */
  async function relayed(limits: readonly TrafficLimit[], listener: Listener) {
    const { relay, at } = await rig.openRelay(4, listener.socket, limits);
    const [client, peer] = [await rig.udp(), await rig.udp()];
    rig.route(rig.leg(listener.socket, client.at, 0x4000), rig.leg(relay, peer.at));
    return {
      relay,
      peer,
      toPeer: (payload: string) => client.send(channelData(0x4000, payload), listener.at),
      toClient: (payload: string) => peer.send(payload, at),
    };
  }

  function repeated(send: (payload: string) => void, payload = "media", times = 8): void {
    for (let packet = 0; packet < times; packet += 1) send(payload);
  }

  test("hold for packets, in each direction by itself, and are counted", async () => {
    rig = new Rig((options) => portablePlane(options));
    const { toPeer, toClient } = await relayed([total], await rig.listen("udp"));
    repeated(toPeer);
    await rig.expectDropped("limited", 3);
    repeated(toClient);
    await rig.expectDropped("limited", 6);
    expect(rig.relayedPackets).toBe(10);

    rig.now += 1000;
    repeated(toPeer);
    await rig.expectDropped("limited", 9);
    expect(rig.relayedPackets).toBe(15);
  });

  test("hold for bytes of payload", async () => {
    rig = new Rig((options) => portablePlane(options));
    const { relay, toPeer } = await relayed(
      [{ bucket: "allocation 1", bytesPerSecond: 1000 }],
      await rig.listen("udp"),
    );
    repeated(toPeer, "x".repeat(250));
    await rig.expectDropped("limited", 4);
    expect(rig.plane.usage(relay)?.toPeer).toEqual({ packets: 4, bytes: 1000 });
  });

  test("are shared by relay ports that name the same bucket, and outlive each of them", async () => {
    rig = new Rig((options) => portablePlane(options));
    const listener = await rig.listen("udp");
    const [one, other] = [await relayed([total], listener), await relayed([total], listener)];
    repeated(one.toPeer);
    await rig.expectDropped("limited", 3);
    rig.plane.perform({ do: "close-relay", relay: one.relay });
    repeated(other.toPeer);
    await rig.expectDropped("limited", 11);
    repeated((await relayed([], listener)).toPeer);
    await until(() => rig.relayedPackets === 13);
  });

  test("hold for what the controller sends on a client's behalf", async () => {
    rig = new Rig((options) => portablePlane(options));
    const { relay, peer } = await relayed([total], await rig.listen("udp"));
    repeated((payload) => rig.plane.perform({ do: "send", via: relay, to: peer.at, bytes: Buffer.from(payload) }));
    await rig.expectDropped("limited", 3);
    expect(rig.plane.usage(relay)?.toPeer.packets).toBe(5);
  });
});

test("a connection that says nothing is closed within a second of its time", async () => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  rig = new Rig((options) => portablePlane(options));
  const client = await rig.tcp(await rig.listen("tcp"));
  await until(() => rig.plane.counters().connections === 1);
  rig.now += portableLimits.streams.firstFrameMillis;
  vi.advanceTimersByTime(1000);
  await client.closed;
  expect(await rig.handed.next()).toMatchObject({ is: "hung-up" });
  await rig.plane.close();
  expect(vi.getTimerCount()).toBe(0);
});
