// What clients on streams can make a thread of the native plane hold: no more than it has, and not what others need.

import { randomBytes } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import { afterEach, describe, expect, onTestFinished, test } from "vitest";
import type { Endpoint, Listener, SocketId } from "../../src/contract.ts";
import { nativePlane } from "../../src/dataplane/native.ts";
import { readChannelData } from "../../src/stun/channel-data.ts";
import { encode } from "../../src/stun/message.ts";
import { Method } from "../../src/stun/methods.ts";
import { pad } from "../../src/stun/stream.ts";
import { needs } from "../interop/needs.ts";
import { someCertificates } from "./certificate-files.ts";
import { obstacleToNative } from "./native-obstacle.ts";
import { channelData, type Make, Rig, type TcpEnd, type UdpEnd, until } from "./rig.ts";

const channel = 0x4001;
const megabyte = 1024 * 1024;
const long = randomBytes(60_000);
const hello = encode({
  class: "request",
  method: Method.binding,
  transactionId: Buffer.alloc(12),
  attributes: {},
});

/** A client with a relay port, and a channel to a peer. */
interface Call {
  readonly client: TcpEnd;
  readonly peer: UdpEnd;
  readonly relay: SocketId;
  readonly at: Endpoint;
}

const transports = ["tcp", ...(needs("openssl") ? (["tls"] as const) : [])] as const;
const isPossible = obstacleToNative() === undefined;

describe.runIf(isPossible).each(transports)("of a thread's room for streams over %s", (transport) => {
  let rig: Rig;
  let listener: Listener;

  async function open(waitingBytes: number): Promise<void> {
    const certificates = transport === "tls" ? await someCertificates() : undefined;
    const make: Make = (given, clock) => nativePlane(given, { threads: 1, waitingBytes, clock });
    rig = new Rig(make, { entrance: { certificates } });
    listener = await rig.listen(transport);
  }

  afterEach(() => rig.close());

  async function call(): Promise<Call> {
    const [client, peer] = [await rig.tcp(listener), await rig.udp()];
    client.send(hello);
    const { via } = await rig.next("datagram");
    const { relay, at } = await rig.openRelay(4, via);
    rig.route(rig.leg(via, client.at, channel), rig.leg(relay, peer.at));
    return { client, peer, relay, at };
  }

  /** Sends as much to a client that does not read as it can hold up, and more, and then something short. */
  async function stuff({ client, peer, relay, at }: Call, lastWords: string): Promise<void> {
    client.socket.pause();
    const before = rig.plane.counters().dropped.congested;
    const send = async (payload: Uint8Array | string) => {
      const packets = rig.plane.usage(relay)?.toClient.packets ?? 0;
      peer.send(payload, at);
      await until(() => rig.plane.usage(relay)?.toClient.packets === packets + 1);
    };
    while (rig.plane.counters().dropped.congested === before) await send(long);
    await send(lastWords);
  }

  async function expectLastWords({ client }: Call, lastWords: string): Promise<void> {
    client.socket.resume();
    for (;;) {
      const payload = Buffer.from(readChannelData(await client.next())?.payload ?? "");
      if (payload.length < long.length) return expect(payload.toString()).toBe(lastWords);
      expect(payload.equals(long)).toBe(true);
    }
  }

  test("who read nothing leave some for each other, and all is free again when they read", async () => {
    await open(3 * megabyte);
    const calls: Call[] = [];
    while (calls.length < 12) calls.push(await call());
    for (const [number, each] of calls.entries()) await stuff(each, `last of ${number}`);
    const other = await call();
    other.peer.send("in time", other.at);
    expect(Buffer.from(await other.client.next())).toEqual(channelData(channel, "in time"));
    for (const [number, each] of calls.entries()) await expectLastWords(each, `last of ${number}`);
    for (const [number, each] of calls.entries()) await stuff(each, `very last of ${number}`);
    for (const [number, each] of calls.entries()) await expectLastWords(each, `very last of ${number}`);
    expect(rig.plane.counters().connections).toBe(calls.length + 1);
  });

  test("what many say at once is nobody else's", async () => {
    await open(megabyte);
    const calls: Call[] = [];
    while (calls.length < 40) calls.push(await call());
    for (let round = 0; round < 10; round += 1) {
      const said = calls.map(() => randomBytes(3000));
      for (const [number, { client }] of calls.entries()) client.send(pad(channelData(channel, said[number] ?? "")));
      for (const [number, { peer }] of calls.entries())
        expect((await peer.next()).equals(said[number] ?? Buffer.alloc(0))).toBe(true);
    }
  });

  test("what was for one that has gone does not reach who has his place", async () => {
    await open(megabyte);
    const former = await call();
    await former.client.close();
    await rig.next("hung-up");
    const heir = await call();
    former.peer.send("for the former", former.at);
    await rig.expectDropped("no-permission", 1);
    heir.peer.send("for the heir", heir.at);
    expect(Buffer.from(await heir.client.next())).toEqual(channelData(channel, "for the heir"));
  });

  test("who begin what they do not finish are hung up on when it is used up, and others are served", async () => {
    await open(megabyte);
    const other = await call();
    const many = 30;
    const calls: Call[] = [];
    while (calls.length < many) calls.push(await call());
    for (const { client } of calls) client.send(pad(channelData(channel, long)).subarray(0, -1));
    await Promise.race(calls.map(({ client }) => client.closed));
    for (const payload of ["one", "two", "three"]) {
      other.client.send(pad(channelData(channel, payload)));
      expect((await other.peer.next()).toString()).toBe(payload);
      other.peer.send(payload, other.at);
      expect(Buffer.from(await other.client.next())).toEqual(channelData(channel, payload));
      await setImmediate();
    }
    expect(rig.plane.counters().connections).toBeGreaterThan(10);
    for (const { client } of calls) await client.close();
    await until(() => rig.plane.counters().connections === 1);
    const whole = pad(channelData(channel, long));
    other.client.send(whole.subarray(0, 30_000));
    await setImmediate();
    other.client.send(whole.subarray(30_000));
    expect((await other.peer.next()).equals(long)).toBe(true);
  });
});

test.runIf(isPossible)(
  "what comes over a stream after an order is judged by it, before the thread is told of that",
  async () => {
    const rig = new Rig((given, clock) => nativePlane(given, { threads: 1, clock }));
    onTestFinished(() => rig.close());
    const [client, peer] = [await rig.tcp(await rig.listen("tcp")), await rig.udp()];
    client.send(hello);
    const { via } = await rig.next("datagram");
    const { relay } = await rig.openRelay(4, via);
    const packets = () => rig.plane.usage(relay)?.toPeer.packets ?? 0;
    const dropped = () => rig.plane.counters().dropped["no-channel"];
    for (let number = channel; number < channel + 20; number += 1) {
      const before = packets();
      rig.route(rig.leg(via, client.at, number), rig.leg(relay, peer.at));
      client.send(pad(channelData(number, "at once")));
      // While the event loop does not turn, nothing but these bytes wakes the thread.
      const givenUpAt = Date.now() + 5000;
      while (packets() === before && dropped() === 0 && Date.now() < givenUpAt);
      expect([packets(), dropped()]).toEqual([before + 1, 0]);
    }
  },
);
