import { describe, expect, test } from "vitest";
import type { Action, Endpoint } from "../../src/contract.ts";
import { decode } from "../../src/stun/message.ts";
import { Method } from "../../src/stun/methods.ts";
import { type Client, codeOf, otherPeer, peer, sixthPeer, World } from "./world.ts";

const tooBig = { type: 3, code: 4, data: 1400 };

/** A client with a relayed address of each family, and a permission for a peer of each. */
function permitted(world = new World()) {
  const client = world.client();
  client.allocates({ additionalAddressFamily: 6 });
  client.asks("createPermission", { xorPeerAddress: [peer, sixthPeer] });
  const [four = 0, six = 0] = world.relays.keys();
  return { world, client, four, six };
}

function hears(
  world: World,
  relay: number,
  from: Endpoint,
  error: { type: number; code: number; data: number },
): Action[] {
  return world.hears({ is: "icmp", relay, peer: from, ...error });
}

function toldOf([action]: Action[], { tuple }: Client) {
  if (action?.do !== "send") throw new Error("nothing is sent");
  expect({ via: action.via, to: action.to }).toEqual({ via: tuple.via, to: tuple.from });
  return decode(action.bytes);
}

describe("an ICMP error", () => {
  test("is told to the client whose packet it was, with the MTU where it says one", () => {
    const { world, client, four, six } = permitted();
    expect(toldOf(hears(world, four, peer, tooBig), client)).toMatchObject({
      class: "indication",
      method: Method.data,
      attributes: { xorPeerAddress: [peer], icmp: tooBig },
    });
    const packetTooBig = { type: 2, code: 0, data: 1280 };
    expect(toldOf(hears(world, six, sixthPeer, packetTooBig), client)?.attributes).toEqual({
      xorPeerAddress: [sixthPeer],
      icmp: packetTooBig,
    });
  });

  test("is told in an indication of its own each time", () => {
    const { world, client, four } = permitted();
    const errors = [tooBig, { ...tooBig, code: 3 }, { ...tooBig, type: 11, code: 0 }];
    const ids = errors.map((error) => toldOf(hears(world, four, peer, error), client)?.transactionId);
    world.passes(1);
    ids.push(toldOf(hears(world, four, peer, tooBig), client)?.transactionId);
    expect(new Set(ids.map((id) => Buffer.from(id ?? "").toString("hex"))).size).toBe(ids.length);
  });

  test("has no data unless it is an MTU, whatever the port", () => {
    const { world, client, four } = permitted();
    for (const port of [0, 9]) {
      const error = { type: 3, code: 3, data: 77 };
      const told = toldOf(hears(world, four, { ...peer, port }, error), client);
      expect(told?.attributes).toEqual({ xorPeerAddress: [{ ...peer, port }], icmp: { ...error, data: 0 } });
    }
  });

  test.each([
    [4, [3, 11]],
    [6, [1, 2, 3]],
  ] as const)("of IPv%d is told if its type is one of %j", (family, types) => {
    const { world, four, six } = permitted();
    const [relay, from] = family === 4 ? [four, peer] : [six, sixthPeer];
    for (let type = 0; type < 256; type++) {
      const isTold = hears(world, relay, from, { type, code: 0, data: 0 }).length > 0;
      expect(isTold, `type ${type}`).toBe(types.some((each) => each === type));
    }
  });

  test("is for nobody where there is no permission, no longer one, no such relay port, or one of the other family", () => {
    const { world, client, four, six } = permitted();
    expect(hears(world, four, otherPeer, tooBig)).toEqual([]);
    expect(hears(world, 4711, peer, tooBig)).toEqual([]);
    expect(hears(world, six, peer, tooBig)).toEqual([]);
    world.passes(300);
    expect(hears(world, four, peer, tooBig)).toEqual([]);
    client.asks("createPermission", { xorPeerAddress: [peer] });
    expect(hears(world, four, peer, tooBig)).toHaveLength(1);
    client.asks("refresh", { lifetime: 0 });
    expect(hears(world, four, peer, tooBig)).toEqual([]);
  });
});

describe("DONT-FRAGMENT", () => {
  const abilities = {
    movesAmong: [
      ["udp", "dtls"],
      ["tcp", "tls"],
    ],
    dontFragment: ["udp", "dtls"],
  } as const;
  const data = Buffer.from("data");

  test.each(abilities.dontFragment)("is done for the packets that have it, of clients over %s", (transport) => {
    const world = new World({ abilities });
    const client = world.client(undefined, { transport });
    client.allocates({ dontFragment: true });
    client.asks("createPermission", { xorPeerAddress: [peer] });
    const [via] = world.relays.keys();
    const sent = { do: "send", via, to: peer, bytes: data };
    expect(client.indicates({ xorPeerAddress: [peer], data, dontFragment: true })).toEqual([
      { ...sent, dontFragment: true },
    ]);
    expect(client.indicates({ xorPeerAddress: [peer], data })).toEqual([sent]);
  });

  test.each([
    ["2a00:1450::7", peer],
    ["2a00:1450::7", sixthPeer],
    ["198.51.100.7", sixthPeer],
  ] as const)("from %s to $address is ignored, where packets are translated", (address, to) => {
    const world = new World({ abilities });
    const client = world.client(address);
    client.allocates({ additionalAddressFamily: 6, dontFragment: true });
    client.asks("createPermission", { xorPeerAddress: [to] });
    const [four = 0, six = 0] = world.relays.keys();
    const via = to === peer ? four : six;
    expect(client.indicates({ xorPeerAddress: [to], data, dontFragment: true })).toEqual([
      { do: "send", via, to, bytes: data },
    ]);
  });

  test.each([
    ["where the plane cannot", new World().client()],
    ["on a stream, for which it cannot", new World({ abilities }).client(undefined, { transport: "tcp" })],
  ])("is unknown %s, and what has it is discarded", (_, client) => {
    expect(codeOf(client.asks("allocate", { requestedTransport: 17, dontFragment: true }))).toBe(420);
    client.allocates();
    client.asks("createPermission", { xorPeerAddress: [peer] });
    expect(client.indicates({ xorPeerAddress: [peer], data, dontFragment: true })).toEqual([]);
  });
});
