import { describe, expect, test } from "vitest";
import type { Action, Listener, SocketId } from "../../src/contract.ts";
import { BytestreamsProxy, defaultProxyLimits, type ProxyLimits } from "../../src/socks5/bytestreams-proxy.ts";

const at = { address: "192.0.2.1", port: 7777 };
const on: Listener = { socket: 1, transport: "tcp", at, protocol: "socks5" };
const [hash, otherHash] = ["a".repeat(40), "b".repeat(40)];
const greeting = Uint8Array.of(5, 1, 0);
const request = (name: string) => Buffer.from(`\x05\x01\x00\x03\x28${name}\x00\x00`, "latin1");

class ProxyWorld {
  now = 1_800_000_000_000;
  readonly proxy: BytestreamsProxy;
  #last: SocketId = 100;

  constructor(limits: Partial<ProxyLimits> = {}) {
    this.proxy = new BytestreamsProxy({ ...defaultProxyLimits, ...limits }, (address) => address);
  }

  says(via: SocketId, bytes: Uint8Array, address = "198.51.100.7"): Action[] {
    return this.proxy.handle(this.now, { is: "datagram", on, via, from: { address, port: via }, bytes });
  }

  /** A connection that has been told that it is connected. */
  waits(name = hash, address?: string): SocketId {
    this.#last += 1;
    expect(codes(this.says(this.#last, greeting, address))).toEqual([0]);
    expect(codes(this.says(this.#last, request(name), address))).toEqual([0]);
    return this.#last;
  }

  activates(name = hash, user = "alice") {
    return this.proxy.activate(this.now, name, user);
  }

  passes(seconds: number): Action[] {
    this.now += seconds * 1000;
    return this.proxy.handle(this.now, { is: "ticked" });
  }

  parts(streams: readonly [SocketId, SocketId], bytes = 0): void {
    const [toPeer, toClient] = [
      { packets: 1, bytes },
      { packets: 0, bytes: 0 },
    ];
    this.proxy.handle(this.now, { is: "parted", streams, usage: { toPeer, toClient } });
  }

  streams(name = hash, user = "alice"): readonly [SocketId, SocketId] {
    const streams = [this.waits(name), this.waits(name)] as const;
    expect(this.activates(name, user)).toMatchObject({ actions: [{ do: "join", streams }] });
    return streams;
  }
}

/** What each answer says, and "hang-up" for hanging up. */
function codes(actions: readonly Action[]): (number | string | undefined)[] {
  return actions.map((action) => (action.do === "send" ? action.bytes[1] : action.do));
}

describe("the proxy of bytestreams", () => {
  test("joins two who wait for the same hash, when it is told to, once", () => {
    const world = new ProxyWorld();
    const streams = [world.waits(), world.waits()];
    const joined = world.activates();
    const limits = [{ bucket: "bytestreams alice", bytesPerSecond: 20_000_000 }];
    expect(joined).toEqual({ actions: [{ do: "join", streams, limits, idleSeconds: 300 }] });
    expect(world.activates()).toEqual({ failed: "nobody-waits" });
    expect(world.passes(100)).toEqual([]);
    expect(world.proxy.size).toBe(1);
  });

  test("joins nobody else, and nobody alone", () => {
    const world = new ProxyWorld();
    expect(world.activates()).toEqual({ failed: "nobody-waits" });
    world.waits();
    world.waits(otherHash);
    expect(world.activates()).toEqual({ failed: "one-waits" });
  });

  test("takes no third one for a hash", () => {
    const world = new ProxyWorld();
    world.waits();
    world.waits();
    expect(codes(world.says(999, greeting))).toEqual([0]);
    expect(codes(world.says(999, request(hash)))).toEqual([2, "hang-up"]);
    expect(world.activates()).toHaveProperty("actions");
  });

  test("refuses who does not go without authentication, or wants to be connected somewhere", () => {
    const world = new ProxyWorld();
    expect(codes(world.says(5, Uint8Array.of(5, 1, 2)))).toEqual([0xff, "hang-up"]);
    world.says(6, greeting);
    expect(codes(world.says(6, Uint8Array.of(5, 1, 0, 1, 127, 0, 0, 1, 0, 22)))).toEqual([8, "hang-up"]);
    world.says(7, greeting);
    expect(codes(world.says(7, Uint8Array.of(5, 2, 0, 3, 1, 97, 0, 0)))).toEqual([7, "hang-up"]);
  });

  test("turns out who waits for longer than a minute, and forgets who goes by himself", () => {
    const world = new ProxyWorld();
    const [one, other] = [world.waits(), world.waits(otherHash)];
    world.proxy.handle(world.now, { is: "hung-up", via: other });
    expect(world.passes(59)).toEqual([]);
    expect(world.passes(2)).toEqual([{ do: "hang-up", via: one }]);
    expect(world.activates()).toEqual({ failed: "nobody-waits" });
    expect(world.activates(otherHash)).toEqual({ failed: "nobody-waits" });
  });

  test("lets so many wait, and so many from one address", () => {
    const world = new ProxyWorld({ waiting: 3, waitingPerAddress: 2 });
    const [first] = [world.waits(), world.waits()];
    expect(codes(world.says(999, greeting))).toEqual([0xff, "hang-up"]);
    world.waits(hash.replace("a", "c"), "198.51.100.8");
    expect(codes(world.says(998, greeting, "198.51.100.9"))).toEqual([0xff, "hang-up"]);
    world.proxy.handle(world.now, { is: "hung-up", via: first });
    world.waits(otherHash);
  });

  test("has so many streams, and so many of one user", () => {
    const world = new ProxyWorld({ streams: 3, streamsPerUser: 2 });
    const first = world.streams();
    world.streams();
    const waiting = [world.waits(), world.waits()];
    expect(world.activates()).toEqual({ failed: "too-many" });
    world.streams(otherHash, "bob");
    world.parts(first);
    expect(world.activates()).toMatchObject({ actions: [{ streams: waiting }] });
    world.waits();
    world.waits();
    expect(world.activates(hash, "carol")).toEqual({ failed: "too-many" });
  });

  test("limits the bytes of a user by the second and by the day", () => {
    const world = new ProxyWorld({ bytesPerSecondPerUser: 1000, bytesPerDayPerUser: 5000 });
    const streams = [world.waits(), world.waits()] as const;
    expect(world.activates()).toMatchObject({
      actions: [{ limits: [{ bucket: "bytestreams alice", bytesPerSecond: 1000 }] }],
    });
    world.parts(streams, 5000);
    world.waits();
    world.waits();
    expect(world.activates()).toEqual({ failed: "too-much" });
    expect(world.activates(hash, "bob")).toHaveProperty("actions");
    world.passes(86_400);
    world.streams();
  });
});
