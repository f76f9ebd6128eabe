import { describe, expect, test } from "vitest";
import { Allocations } from "../../src/turn/allocations.ts";
import { defaultLimits } from "../../src/turn/limits.ts";
import { fiveTuple } from "../../src/turn/request.ts";
import { codeOf, peer, udpListener, World } from "./world.ts";

describe("Refresh", () => {
  test.each([
    [undefined, 600],
    [1, 600],
    [1200, 1200],
    [0xffffffff, 3600],
  ])("with a LIFETIME of %s begins a new life of %s seconds", (lifetime, granted) => {
    const world = new World();
    const client = world.client();
    client.allocates();
    world.passes(500);
    expect(client.asks("refresh", { lifetime, requestedAddressFamily: 4 }).attributes.lifetime).toBe(granted);
    world.passes(granted - 1);
    expect(world.relays.size).toBe(1);
    world.passes(1);
    expect(world.relays.size).toBe(0);
  });

  test("shortens a life as well", () => {
    const world = new World();
    const client = world.client();
    client.allocates({ lifetime: 3600 });
    client.asks("refresh", { lifetime: 700 });
    world.passes(700);
    expect(world.relays.size).toBe(0);
  });

  test("of zero deletes the allocation, and says the same again if its answer is lost", () => {
    const world = new World();
    const client = world.client();
    client.allocates();
    const [relay] = world.relays.keys();
    const request = client.sign(client.request("refresh", { lifetime: 0 }));
    const [answer] = client.sends(request);
    expect(world.relays.size).toBe(0);
    expect(world.facts).toContainEqual({ fact: "allocation-closed", relay, user: "alice", why: "deleted" });

    expect(client.sends(request)).toEqual([answer]);
    expect(codeOf(client.asks("refresh", { lifetime: 0 })), "another transaction").toBe(437);
  });

  test("of zero, when it comes again, does not touch the next allocation of the same client", () => {
    const world = new World();
    const client = world.client();
    client.allocates();
    const request = client.sign(client.request("refresh", { lifetime: 0 }));
    const [answer] = client.sends(request);
    client.allocates();
    expect(client.sends(request)).toEqual([answer]);
    expect(world.relays.size).toBe(1);
  });

  test("remembers a bounded number of deletions, the latest", () => {
    const allocations = new Allocations(defaultLimits);
    const tupleOf = (port: number) => fiveTuple(udpListener, 1, { address: "198.51.100.7", port });
    const answer = Uint8Array.of(0, 127, 128, 255);
    for (let port = 1; port <= 5000; port++) allocations.bidFarewell(tupleOf(port), "one", answer);
    expect(allocations.farewell(tupleOf(1), "one")).toBeUndefined();
    for (const port of [3000, 4096, 4097, 5000])
      expect(allocations.farewell(tupleOf(port), "one")).toEqual(Buffer.from(answer));
    expect(allocations.farewell(tupleOf(5000), "other")).toBeUndefined();
  });

  test("is refused with 443 for another family than the allocation's", () => {
    const client = new World().client();
    client.allocates();
    expect(codeOf(client.asks("refresh", { requestedAddressFamily: 6, lifetime: 0 }))).toBe(443);
    expect(codeOf(client.asks("refresh"))).toBe(0);
  });

  test.each(["refresh", "createPermission", "channelBind"] as const)(
    "like every method but Allocate, %s is refused with 437 where there is no allocation",
    (method) => {
      const world = new World();
      const client = world.client();
      expect(codeOf(client.asks(method, { xorPeerAddress: [peer], channelNumber: 0x4000 }))).toBe(437);

      client.allocates();
      const other = world.client("198.51.100.7", { port: 5001 });
      expect(codeOf(other.asks(method, { xorPeerAddress: [peer], channelNumber: 0x4000 }))).toBe(437);
    },
  );

  test.each(["refresh", "createPermission", "channelBind"] as const)(
    "like every method but Allocate, %s is refused with 437 where the allocation has just expired",
    (method) => {
      const world = new World();
      const client = world.client();
      client.allocates();
      world.now += 600_000;
      client.nonce = "";
      expect(codeOf(client.asks(method, { xorPeerAddress: [peer], channelNumber: 0x4000 }))).toBe(437);
      expect(world.relays.size).toBe(0);
    },
  );

  test("is refused with 437 while the port is still being opened, and leaves it to be opened", () => {
    const world = new World();
    world.opensAtOnce = false;
    const client = world.client();
    client.fetchNonce();
    client.sends(client.sign(client.request("allocate", { requestedTransport: 17 })));
    expect(codeOf(client.asks("refresh", { lifetime: 0 }))).toBe(437);
    world.opens(world.opening[0] ?? 0);
    expect(codeOf(client.asks("refresh"))).toBe(0);
  });

  test.each(["refresh", "createPermission", "channelBind"] as const)(
    "like every method but Allocate, %s is refused with 441 where another user opened the allocation",
    (method) => {
      const world = new World();
      const alice = world.client();
      alice.allocates();
      const bob = world.client("198.51.100.7", { user: "bob" });
      const attributes = { xorPeerAddress: [peer], channelNumber: 0x4000, lifetime: 0 };
      expect(codeOf(bob.asks(method, attributes))).toBe(441);
      expect(world.relays.size).toBe(1);
      expect(world.routes).toEqual([]);
    },
  );

  test("is not answered to a client that asks all the time, until it has let some pass", () => {
    const world = new World();
    const client = world.client();
    client.allocates();
    const ask = () => client.sends(client.sign(client.request("refresh"))).length;
    const answers = Array.from({ length: 600 }, ask).reduce((sum, count) => sum + count, 0);
    expect(answers).toBe(500);
    world.now += 1000;
    expect(Array.from({ length: 100 }, ask).reduce((sum, count) => sum + count, 0)).toBe(50);
  });
});
