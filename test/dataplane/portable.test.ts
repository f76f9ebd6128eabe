import { connect } from "node:net";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { Input } from "../../src/contract.ts";
import { portableLimits, portablePlane } from "../../src/dataplane/portable.ts";
import { Method } from "../../src/stun/methods.ts";
import { request } from "./conformance/byte-stream.ts";
import { describePlane } from "./conformance.ts";
import { channelData, closeOf, Rig, until } from "./rig.ts";

describePlane("the portable plane", (options) => portablePlane(options));

let rig: Rig;
afterEach(async () => {
  await rig?.close();
  vi.useRealTimers();
});

describe("a flood of STUN", () => {
  test("leaves half of the time to media, however long the controller takes over each", async () => {
    rig = new Rig((options) => {
      let now = options.now();
      const slow = (input: Input) => {
        now += 0.6;
        options.hand(input);
      };
      return portablePlane({ ...options, now: () => now, hand: slow });
    });
    const listener = await rig.listen("udp");
    const { relay } = await rig.openRelay(4, listener.socket);
    const [client, peer] = [await rig.udp(), await rig.udp()];
    rig.route(rig.leg(listener.socket, client.at, 0x4000), rig.leg(relay, peer.at));
    for (let packet = 0; packet < 150; packet += 1) client.send(Buffer.alloc(20), listener.at);
    client.send(channelData(0x4000, "media"), listener.at);
    expect((await peer.next()).toString()).toBe("media");
    expect(rig.plane.counters().dropped.flooded).toBe(50);
  });

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

test("peers who connect to a relayed TCP address are as many as the controller takes at once, and no more", async () => {
  const handUp = { perAddress: 50, inTotal: 1000 };
  rig = new Rig((options) => portablePlane(options, { ...portableLimits, handUp }));
  const control = await rig.tcp(await rig.listen("tcp"));
  control.send(request(Method.allocate));
  const { via, from: client } = await rig.next("datagram");
  const relay = rig.newSocketId();
  rig.plane.perform({ do: "open-relay", relay, family: 4, via, client, transport: "tcp" });
  const { at } = await rig.next("relay-opened");
  const connectFrom = (localAddress: string) => {
    const socket = connect({ host: at.address, port: at.port, localAddress });
    socket.on("error", () => {}).resume();
    rig.keep({ close: async () => void socket.destroy() });
    return closeOf(socket);
  };

  for (let peer = 0; peer < 5; peer += 1) {
    void connectFrom("127.0.0.7");
    await rig.next("peer-arrived");
  }
  await connectFrom("127.0.0.7");
  expect(rig.plane.counters().dropped.flooded).toBe(1);
  void connectFrom("127.0.0.8");
  expect((await rig.next("peer-arrived")).from.address).toBe("127.0.0.8");
  rig.now += 1000;
  void connectFrom("127.0.0.7");
  expect((await rig.next("peer-arrived")).from.address).toBe("127.0.0.7");
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
