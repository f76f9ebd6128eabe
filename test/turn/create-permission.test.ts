import { describe, expect, test } from "vitest";
import type { Endpoint } from "../../src/contract.ts";
import { codeOf, otherPeer, peer, sixthPeer, World } from "./world.ts";

function worldWithAllocation(options: ConstructorParameters<typeof World>[0] = {}) {
  const world = new World(options);
  const client = world.client();
  client.allocates({ lifetime: 3600 });
  const [relay = 0] = world.relays.keys();
  return { world, client, relay };
}

function at(address: string): Endpoint {
  return { address, port: 9 };
}

describe("CreatePermission", () => {
  test("routes every port of the peer to the client in indications, for 300 seconds", () => {
    const { world, client, relay } = worldWithAllocation();
    const answer = client.asks("createPermission", { xorPeerAddress: [peer] });
    expect(answer).toMatchObject({ class: "success" });
    const until = world.now + 300_000;
    expect(world.routes).toEqual([
      [
        { socket: client.tuple.via, peer: client.tuple.from, framing: "indication", until },
        { socket: relay, peer: { address: peer.address, port: 0 }, framing: "bare", until },
      ],
    ]);
    world.passes(299);
    expect(world.routes).toHaveLength(1);
    world.passes(1);
    expect(world.routes).toEqual([]);
  });

  test("asked for again within a second makes no work for the plane, nor does a Refresh that moves no route's end", () => {
    const { world, client } = worldWithAllocation();
    const actionsOn = (method: "createPermission" | "refresh") => {
      client.asks(method, method === "refresh" ? { lifetime: 3600 } : { xorPeerAddress: [peer] });
      return world.actions.map((action) => action.do);
    };
    expect(actionsOn("createPermission")).toEqual(["route", "send"]);
    world.now += 999;
    expect(actionsOn("createPermission")).toEqual(["send"]);
    expect(actionsOn("refresh")).toEqual(["send"]);
    world.now += 1;
    expect(actionsOn("createPermission")).toEqual(["route", "send"]);
  });

  test("routes before the client hears of it", () => {
    const { world, client } = worldWithAllocation();
    client.asks("createPermission", { xorPeerAddress: [peer] });
    expect(world.actions.map((action) => action.do)).toEqual(["route", "send"]);
  });

  test("begins anew when it comes again", () => {
    const { world, client } = worldWithAllocation();
    client.asks("createPermission", { xorPeerAddress: [peer] });
    world.passes(200);
    client.asks("createPermission", { xorPeerAddress: [{ ...peer, port: 1 }] });
    world.passes(299);
    expect(world.routes).toHaveLength(1);
    world.passes(1);
    expect(world.routes).toEqual([]);
  });

  test("gives as many as it is asked for", () => {
    const { world, client } = worldWithAllocation();
    client.asks("createPermission", { xorPeerAddress: [peer, otherPeer, peer] });
    expect(world.routes.map(([, far]) => far.peer)).toEqual([
      { address: peer.address, port: 0 },
      { address: otherPeer.address, port: 0 },
    ]);
  });

  test("never outlives the allocation, and grows with it", () => {
    const world = new World();
    const client = world.client();
    client.allocates();
    world.passes(500);
    const end = world.now + 100_000;
    client.asks("createPermission", { xorPeerAddress: [peer] });
    expect(world.routes[0]?.[0].until).toBe(end);
    expect(world.routes[0]?.[1].until).toBe(end);

    client.asks("refresh");
    expect(world.routes[0]?.[0].until).toBe(world.now + 300_000);
  });

  test("is refused with 400 without a peer, and with one that is malformed among others", () => {
    const { world, client } = worldWithAllocation();
    expect(codeOf(client.asks("createPermission"))).toBe(400);

    const broken = client.sign(client.request("createPermission", { xorPeerAddress: [peer, otherPeer] }));
    broken.set([0x00, 0x03], Buffer.from(broken).lastIndexOf(Buffer.from([0x00, 0x12, 0x00, 0x08])) + 4);
    expect(codeOf(client.hearsBack(client.seal(broken)))).toBe(400);
    expect(world.routes).toEqual([]);
  });

  test("is refused with 443 for a peer of the other family, and permits none of the others", () => {
    const { world, client } = worldWithAllocation();
    expect(codeOf(client.asks("createPermission", { xorPeerAddress: [peer, sixthPeer] }))).toBe(443);
    expect(world.routes).toEqual([]);

    const six = world.client("198.51.100.8");
    six.allocates({ requestedAddressFamily: 6 });
    expect(codeOf(six.asks("createPermission", { xorPeerAddress: [peer] }))).toBe(443);
    expect(codeOf(six.asks("createPermission", { xorPeerAddress: [sixthPeer] }))).toBe(0);
  });

  test("is refused with 403 for a peer that may not be reached, and permits none of the others", () => {
    const { world, client } = worldWithAllocation();
    expect(codeOf(client.asks("createPermission", { xorPeerAddress: [peer, at("10.0.0.1")] }))).toBe(403);
    expect(world.routes).toEqual([]);
  });

  test("permits our own relayed addresses", () => {
    const { world, client } = worldWithAllocation();
    expect(codeOf(client.asks("createPermission", { xorPeerAddress: [at("192.0.2.1")] }))).toBe(0);
    expect(world.routes).toHaveLength(1);
  });

  test("is refused with 508 beyond the limit, refreshes what there is, and has room again when some expired", () => {
    const { world, client } = worldWithAllocation({ limits: { permissionsPerAllocation: 2 } });
    const [one, two, three] = [at("8.8.8.1"), at("8.8.8.2"), at("8.8.8.3")];
    expect(codeOf(client.asks("createPermission", { xorPeerAddress: [one, two, three] }))).toBe(508);
    expect(world.routes).toEqual([]);
    expect(codeOf(client.asks("createPermission", { xorPeerAddress: [one, two, one, two] }))).toBe(0);
    expect(codeOf(client.asks("createPermission", { xorPeerAddress: [three] }))).toBe(508);
    expect(codeOf(client.asks("channelBind", { channelNumber: 0x4000, xorPeerAddress: [three] }))).toBe(508);

    world.passes(150);
    expect(codeOf(client.asks("createPermission", { xorPeerAddress: [two] }))).toBe(0);
    world.passes(150);
    expect(codeOf(client.asks("createPermission", { xorPeerAddress: [three] }))).toBe(0);
    expect(world.routes.map(([, far]) => far.peer.address)).toEqual([two.address, three.address]);
  });

  test("may be sent again without harm", () => {
    const { world, client } = worldWithAllocation();
    const request = client.sign(client.request("createPermission", { xorPeerAddress: [peer] }));
    expect(client.sends(request)).toEqual(client.sends(request));
    expect(world.routes).toHaveLength(1);
  });
});
