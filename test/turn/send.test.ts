import { describe, expect, test } from "vitest";
import { encode } from "../../src/stun/message.ts";
import { Method } from "../../src/stun/methods.ts";
import { otherPeer, peer, World } from "./world.ts";

const data = new TextEncoder().encode("hello");

function worldWithPermission() {
  const world = new World();
  const client = world.client();
  client.allocates();
  client.asks("createPermission", { xorPeerAddress: [peer] });
  const [relay = 0] = world.relays.keys();
  return { world, client, relay };
}

describe("a Send indication", () => {
  test("leaves from the relayed address for any port of a permitted peer", () => {
    const { client, relay } = worldWithPermission();
    for (const port of [peer.port, 1]) {
      const [action, ...others] = client.indicates({ xorPeerAddress: [{ ...peer, port }], data });
      if (action?.do !== "send") throw new Error("nothing was sent");
      expect(action).toMatchObject({ via: relay, to: { ...peer, port } });
      expect(Buffer.from(action.bytes)).toEqual(Buffer.from(data));
      expect(others).toEqual([]);
    }
  });

  test("may carry no bytes at all, which is a datagram all the same", () => {
    const { client } = worldWithPermission();
    expect(client.indicates({ xorPeerAddress: [peer], data: new Uint8Array() })).toHaveLength(1);
  });

  test("is dropped without a permission, and does not make the permission longer", () => {
    const { world, client } = worldWithPermission();
    expect(client.indicates({ xorPeerAddress: [otherPeer], data })).toEqual([]);
    world.passes(299);
    expect(client.indicates({ xorPeerAddress: [peer], data })).toHaveLength(1);
    world.passes(1);
    expect(client.indicates({ xorPeerAddress: [peer], data })).toEqual([]);
  });

  test("is dropped where it lacks peer or data, or has what we do not comprehend", () => {
    const { client } = worldWithPermission();
    expect(client.indicates({ data })).toEqual([]);
    expect(client.indicates({ xorPeerAddress: [peer] })).toEqual([]);
    expect(client.indicates({ xorPeerAddress: [peer], data, dontFragment: true })).toEqual([]);
  });

  test("is dropped for port 0 and for our own listeners, even where the address is permitted", () => {
    const { client } = worldWithPermission();
    client.asks("createPermission", { xorPeerAddress: [{ address: "192.0.2.1", port: 1 }] });
    expect(client.indicates({ xorPeerAddress: [{ ...peer, port: 0 }], data })).toEqual([]);
    expect(client.indicates({ xorPeerAddress: [{ address: "192.0.2.1", port: 3478 }], data })).toEqual([]);
    expect(client.indicates({ xorPeerAddress: [{ address: "192.0.2.1", port: 3479 }], data })).toHaveLength(1);
  });

  test("is dropped without an allocation, with one that has expired, and on another five-tuple", () => {
    const { world, client } = worldWithPermission();
    expect(world.client("198.51.100.9").indicates({ xorPeerAddress: [peer], data })).toEqual([]);
    world.passes(500);
    client.asks("createPermission", { xorPeerAddress: [peer] });
    world.now += 99_999;
    expect(client.indicates({ xorPeerAddress: [peer], data })).toHaveLength(1);
    world.now += 1;
    expect(client.indicates({ xorPeerAddress: [peer], data })).toEqual([]);
  });

  test("is dropped where it is malformed", () => {
    const { client } = worldWithPermission();
    const indication = {
      ...client.request("send", { xorPeerAddress: [peer, peer], data }),
      class: "indication",
    } as const;
    const broken = encode(indication);
    broken.set([0x00, 0x03], Buffer.from(broken).lastIndexOf(Buffer.from([0x00, 0x12, 0x00, 0x08])) + 4);
    expect(client.sends(encode(indication))).toEqual([]);
    expect(client.world.actions).toHaveLength(1);
    client.sends(broken);
    expect(client.world.actions).toEqual([]);
  });
});

describe("a Data indication", () => {
  test("is for clients, and means nothing to the server", () => {
    const { client } = worldWithPermission();
    const indication = { ...client.request("data", { xorPeerAddress: [peer], data }), class: "indication" } as const;
    expect(indication.method).toBe(Method.data);
    client.sends(encode(indication));
    expect(client.world.actions).toEqual([]);
  });
});
