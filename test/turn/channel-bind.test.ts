import { describe, expect, test } from "vitest";
import { writeChannelData } from "../../src/stun/channel-data.ts";
import { codeOf, otherPeer, peer, sixthPeer, World } from "./world.ts";

function worldWithAllocation(options: ConstructorParameters<typeof World>[0] = {}) {
  const world = new World(options);
  const client = world.client();
  client.allocates({ lifetime: 3600 });
  const [relay = 0] = world.relays.keys();
  const binds = (channelNumber: number, to = peer) =>
    codeOf(client.asks("channelBind", { channelNumber, xorPeerAddress: [to] }));
  /** Every channel that is routed now, as number and port of the peer. */
  const bound = () =>
    world.routes.flatMap(([near, far]) => (typeof near.framing === "number" ? [[near.framing, far.peer.port]] : []));
  /** Nonces grow old as well. */
  const passes = (seconds: number) => {
    world.passes(seconds);
    client.nonce = "";
  };
  return { world, client, relay, binds, bound, passes };
}

describe("ChannelBind", () => {
  test("routes the channel to the peer, and gives the permission that it needs", () => {
    const { world, client, relay, binds } = worldWithAllocation();
    expect(binds(0x4000)).toBe(0);
    const until = world.now + 300_000;
    const near = { socket: client.tuple.via, peer: client.tuple.from, until };
    const far = { socket: relay, framing: "bare", until };
    expect(world.routes).toEqual([
      [
        { ...near, framing: "indication" },
        { ...far, peer: { ...peer, port: 0 } },
      ],
      [
        { ...near, framing: 0x4000 },
        { ...far, peer },
      ],
    ]);
    expect(world.actions.map((action) => action.do)).toEqual(["route", "route", "send"]);
  });

  test("carries nothing beyond the permission, and carries again when there is a new one", () => {
    const { world, client, binds, bound } = worldWithAllocation();
    binds(0x4000);
    world.passes(300);
    expect(bound()).toEqual([]);
    client.asks("createPermission", { xorPeerAddress: [peer] });
    expect(bound()).toEqual([[0x4000, peer.port]]);
  });

  test("lasts for 600 seconds and no permission makes that longer", () => {
    const { client, binds, bound, passes } = worldWithAllocation();
    binds(0x4000);
    passes(299);
    client.asks("createPermission", { xorPeerAddress: [peer] });
    passes(299);
    client.asks("createPermission", { xorPeerAddress: [peer] });
    passes(1);
    expect(bound()).toEqual([[0x4000, peer.port]]);
    passes(1);
    expect(bound()).toEqual([]);
  });

  test("begins anew when it comes again", () => {
    const { binds, bound, passes } = worldWithAllocation();
    binds(0x4000);
    passes(500);
    expect(binds(0x4000)).toBe(0);
    passes(299);
    expect(bound()).toEqual([[0x4000, peer.port]]);
  });

  test("never outlives the allocation, and grows with it", () => {
    const world = new World();
    const client = world.client();
    client.allocates();
    world.passes(500);
    client.asks("channelBind", { channelNumber: 0x4000, xorPeerAddress: [peer] });
    expect(world.routes.map(([near]) => near.until)).toEqual([world.now + 100_000, world.now + 100_000]);
    client.asks("refresh");
    expect(world.routes.map(([near]) => near.until)).toEqual([world.now + 300_000, world.now + 300_000]);
  });

  test.each([0x0000, 0x3fff, 0x8000, 0xffff])("is refused with 400 for the number %i", (number) => {
    const { world, binds } = worldWithAllocation();
    expect(binds(number)).toBe(400);
    expect(world.routes).toEqual([]);
  });

  test.each([0x4000, 0x4fff, 0x5000, 0x7fff])("takes the number %i", (number) => {
    expect(worldWithAllocation().binds(number)).toBe(0);
  });

  test("is refused with 400 without a number or without a peer", () => {
    const { client } = worldWithAllocation();
    expect(codeOf(client.asks("channelBind", { channelNumber: 0x4000 }))).toBe(400);
    expect(codeOf(client.asks("channelBind", { xorPeerAddress: [peer] }))).toBe(400);
  });

  test("is refused with 400 for a number that is another peer's, and for a peer that has another number", () => {
    const { binds, bound } = worldWithAllocation();
    expect(binds(0x4000)).toBe(0);
    expect(binds(0x4000, otherPeer)).toBe(400);
    expect(binds(0x4000, { ...peer, port: 1 })).toBe(400);
    expect(binds(0x4001)).toBe(400);
    expect(binds(0x4001, { ...peer, port: 1 })).toBe(0);
    expect(bound()).toEqual([
      [0x4000, peer.port],
      [0x4001, 1],
    ]);
  });

  test("keeps number and peer together for 300 seconds after the channel ended, then frees both", () => {
    const { binds, bound, passes } = worldWithAllocation();
    binds(0x4000);
    passes(899);
    expect(binds(0x4000, otherPeer)).toBe(400);
    expect(binds(0x4001)).toBe(400);
    passes(1);
    expect(binds(0x4000, { ...otherPeer, port: 2 })).toBe(0);
    expect(binds(0x4001)).toBe(0);
    expect(bound()).toEqual([
      [0x4000, 2],
      [0x4001, peer.port],
    ]);
  });

  test("binds a number again to the same peer at any time", () => {
    const { binds, bound, passes } = worldWithAllocation();
    binds(0x4000);
    passes(700);
    expect(bound()).toEqual([]);
    expect(binds(0x4000)).toBe(0);
    expect(bound()).toEqual([[0x4000, peer.port]]);
  });

  test("is refused with 443 for a peer of the other family", () => {
    expect(worldWithAllocation().binds(0x4000, sixthPeer)).toBe(443);
  });

  test("is refused with 403 for a forbidden peer, for port 0 and for our own listeners, and leaves no permission", () => {
    const { world, binds } = worldWithAllocation();
    expect(binds(0x4000, { address: "10.0.0.1", port: 1 })).toBe(403);
    expect(binds(0x4000, { ...peer, port: 0 })).toBe(403);
    expect(binds(0x4000, { address: "192.0.2.1", port: 3478 })).toBe(403);
    expect(world.routes).toEqual([]);
    expect(binds(0x4000, { address: "192.0.2.1", port: 50_000 }), "a relayed address of ours").toBe(0);
  });

  test("is refused with 508 beyond the limit, and has room again when some ended", () => {
    const { binds, passes } = worldWithAllocation({ limits: { channelsPerAllocation: 2 } });
    const port = (number: number) => ({ ...peer, port: number });
    expect(binds(0x4001, port(1))).toBe(0);
    expect(binds(0x4002, port(2))).toBe(0);
    expect(binds(0x4003, port(3))).toBe(508);
    expect(binds(0x4002, port(2))).toBe(0);
    passes(899);
    expect(binds(0x4003, port(3))).toBe(508);
    passes(1);
    expect(binds(0x4003, port(3))).toBe(0);
  });

  test("of one allocation says nothing about another", () => {
    const { world, binds } = worldWithAllocation();
    binds(0x4000);
    const other = world.client("198.51.100.8");
    other.allocates();
    expect(codeOf(other.asks("channelBind", { channelNumber: 0x4000, xorPeerAddress: [otherPeer] }))).toBe(0);
    expect(codeOf(other.asks("channelBind", { channelNumber: 0x4001, xorPeerAddress: [peer] }))).toBe(0);
  });

  test("is the only way for ChannelData: what no route took is dropped", () => {
    const { client, binds } = worldWithAllocation();
    binds(0x4000);
    expect(client.sends(writeChannelData(0x4001, new Uint8Array(4)))).toEqual([]);
    expect(client.world.actions).toEqual([]);
  });
});
