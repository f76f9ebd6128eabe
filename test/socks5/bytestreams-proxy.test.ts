import { describe, expect, test } from "vitest";
import type { Action, Banned, Listener, SocketId, Usage } from "../../src/contract.ts";
import { BytestreamsProxy, defaultProxyLimits, type ProxyLimits } from "../../src/socks5/bytestreams-proxy.ts";

const at = { address: "192.0.2.1", port: 7777 };
const on: Listener = { socket: 1, transport: "tcp", at, protocol: "socks5" };
const [hash, otherHash] = ["a".repeat(40), "b".repeat(40)];
const greeting = Uint8Array.of(5, 1, 0);
const request = (name: string) => Buffer.from(`\x05\x01\x00\x03\x28${name}\x00\x00`, "latin1");

class ProxyWorld {
  now = 1_800_000_000_000;
  /** By the first of two, what they have carried so far. */
  readonly carried = new Map<SocketId, number>();
  readonly banned = new Set<string>();
  readonly proxy: BytestreamsProxy;
  #last: SocketId = 100;

  constructor(limits: Partial<ProxyLimits> = {}) {
    const usageOf = (stream: SocketId) => usageOfBytes(this.carried.get(stream) ?? 0);
    const isBanned = (address: string) => this.banned.has(address);
    this.proxy = new BytestreamsProxy(
      { ...defaultProxyLimits, ...limits },
      { hostOf: (address) => address, usageOf, isBanned },
    );
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

  parts(streams: readonly [SocketId, SocketId], bytes = 0): Action[] {
    return this.proxy.handle(this.now, { is: "parted", streams, usage: usageOfBytes(bytes) });
  }

  bans(whom: Banned): Action[] {
    if ("network" in whom) this.banned.add(whom.network);
    const order = { order: "ban", whom, until: this.now + 3_600_000 } as const;
    return this.proxy.handle(this.now, { is: "ordered", order });
  }

  streams(name = hash, user = "alice"): readonly [SocketId, SocketId] {
    const streams = [this.waits(name), this.waits(name)] as const;
    expect(this.activates(name, user)).toMatchObject({ actions: [{ do: "join", streams }, {}] });
    return streams;
  }
}

function usageOfBytes(bytes: number): Usage {
  return { toPeer: { packets: 1, bytes }, toClient: { packets: 0, bytes: 0 } };
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
    const fact = { fact: "bytestream-opened", user: "alice" };
    expect(joined).toEqual({
      actions: [
        { do: "join", streams, limits, idleSeconds: 300 },
        { do: "report", fact },
      ],
    });
    expect(world.activates()).toEqual({ failed: "nobody-waits" });
    expect(world.passes(100)).toEqual([]);
    expect(world.proxy.streams()).toEqual([{ user: "alice", since: world.now - 100_000, bytes: 0 }]);
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

  test("lets so many wait from one address", () => {
    const world = new ProxyWorld({ waitingPerAddress: 2 });
    const [first] = [world.waits(), world.waits()];
    expect(codes(world.says(999, greeting))).toEqual([0xff, "hang-up"]);
    world.proxy.handle(world.now, { is: "hung-up", via: first });
    world.waits(otherHash);
  });

  test("lets so many wait, and when there are no more, has the one who has the most places give up his oldest", () => {
    const world = new ProxyWorld({ waiting: 4 });
    const [flood] = [world.waits(), world.waits(otherHash), world.waits("c".repeat(40))];
    const patient = world.waits("d".repeat(40), "198.51.100.8");
    const made = world.says(998, greeting, "198.51.100.9");
    expect(codes(made)).toEqual(["hang-up", 0]);
    expect(made[0]).toEqual({ do: "hang-up", via: flood });
    // Who has as many as anybody else, or would have, is refused.
    expect(codes(world.says(997, greeting))).toEqual([0xff, "hang-up"]);
    expect(codes(world.says(996, greeting, "198.51.100.8"))).toEqual([0xff, "hang-up"]);
    expect(world.proxy.waiting).toBe(4);
    expect(world.passes(61)).toContainEqual({ do: "hang-up", via: patient });
  });

  test("has so many streams, and so many of one user", () => {
    const world = new ProxyWorld({ streams: 3, streamsPerUser: 2 });
    const first = world.streams();
    world.streams();
    const waiting = [world.waits(), world.waits()];
    expect(world.activates()).toEqual({ failed: "too-many" });
    world.streams(otherHash, "bob");
    world.parts(first);
    expect(world.activates()).toMatchObject({ actions: [{ streams: waiting }, {}] });
    world.waits();
    world.waits();
    expect(world.activates(hash, "carol")).toEqual({ failed: "too-many" });
  });

  test("limits the bytes of a user by the second and by the day", () => {
    const world = new ProxyWorld({ bytesPerSecondPerUser: 1000, bytesPerDayPerUser: 5000 });
    const streams = [world.waits(), world.waits()] as const;
    expect(world.activates()).toMatchObject({
      actions: [{ limits: [{ bucket: "bytestreams alice", bytesPerSecond: 1000 }] }, {}],
    });
    world.parts(streams, 5000);
    world.waits();
    world.waits();
    expect(world.activates()).toEqual({ failed: "too-much" });
    expect(world.activates(hash, "bob")).toHaveProperty("actions");
    world.passes(86_400);
    world.streams();
  });

  test("ends all streams of a user at the second in which they have carried his bytes of the day", () => {
    const world = new ProxyWorld({ bytesPerDayPerUser: 5000 });
    const [one, other, bobs] = [world.streams(), world.streams(), world.streams(otherHash, "bob")];
    world.carried.set(one[0], 3000).set(other[0], 1999).set(bobs[0], 4999);
    expect(world.passes(1)).toEqual([]);
    world.carried.set(other[0], 2000);
    expect(world.passes(1)).toEqual([one, other].map(([via]) => ({ do: "hang-up", via })));
    expect(world.passes(1)).toEqual([]);
    const why = "over-quota";
    const fact = { fact: "bytestream-closed", user: "alice", why, usage: usageOfBytes(3000) };
    expect(world.parts(one, 3000)).toEqual([{ do: "report", fact }]);
    world.parts(other, 2000);
    world.waits();
    world.waits();
    expect(world.activates()).toEqual({ failed: "too-much" });
    expect(world.proxy.bytes).toBe(9999);
  });

  test("counts bytes for the day on which they passed, each of them once", () => {
    const world = new ProxyWorld({ bytesPerDayPerUser: 5000 });
    const streams = world.streams();
    world.carried.set(streams[0], 4000);
    world.passes(1);
    world.carried.set(streams[0], 8000);
    expect(world.passes(86_400)).toEqual([]);
    world.parts(streams, 8500);
    expect(world.proxy.bytes).toBe(8500);
    world.streams();
  });

  test("ends what a banned user had activated, and nobody else's", () => {
    const world = new ProxyWorld();
    const [alices] = [world.streams(), world.streams(otherHash, "bob")];
    expect(world.bans({ user: "alice" })).toEqual([{ do: "hang-up", via: alices[0] }]);
    expect(world.parts(alices)).toMatchObject([{ fact: { why: "ordered" } }]);
  });

  test("ends and refuses whoever comes from a banned network", () => {
    const world = new ProxyWorld();
    const near = world.streams();
    const waiting = world.waits(otherHash);
    const far = world.waits(otherHash, "203.0.113.9");
    expect(world.bans({ network: "198.51.100.7" })).toEqual([waiting, near[0]].map((via) => ({ do: "hang-up", via })));
    expect(codes(world.says(999, greeting))).toEqual([0xff, "hang-up"]);
    expect(world.activates(otherHash)).toEqual({ failed: "one-waits" });
    expect(world.passes(61)).toEqual([{ do: "hang-up", via: far }]);
  });
});
