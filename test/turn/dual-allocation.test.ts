import { describe, expect, test } from "vitest";
import { decode, type Message } from "../../src/stun/message.ts";
import { type Client, codeOf, otherPeer, peer, sixthPeer, World, type WorldOptions } from "./world.ts";

const dual = { requestedTransport: 17, additionalAddressFamily: 6 } as const;
const four = { address: "192.0.2.1", port: 50_000 };
const six = { address: "2001:db8::1", port: 50_001 };

/** A client that has asked for both families, and the two relay ports in turn. */
function asking(options: WorldOptions = {}, attributes = {}) {
  const world = new World(options);
  const client = world.client();
  client.fetchNonce();
  world.opensAtOnce = false;
  client.sends(client.sign(client.request("allocate", { ...dual, ...attributes })));
  return { world, client };
}

function answerIn(world: World): Message | undefined {
  return world.actions.flatMap((action) => (action.do === "send" ? [decode(action.bytes)] : []))[0];
}

/** With permissions and channels for peers of both families. */
function standing() {
  const { world, client } = asking();
  world.opens(nextOf(world), four);
  world.opens(nextOf(world), six);
  world.opensAtOnce = true;
  const [relay4 = 0, relay6 = 0] = world.relays.keys();
  expect(codeOf(client.asks("createPermission", { xorPeerAddress: [peer, sixthPeer] }))).toBe(0);
  bind(client);
  return { world, client, relay4, relay6 };
}

function bind(client: Client): void {
  expect(codeOf(client.asks("channelBind", { channelNumber: 0x4000, xorPeerAddress: [peer] }))).toBe(0);
  expect(codeOf(client.asks("channelBind", { channelNumber: 0x4001, xorPeerAddress: [sixthPeer] }))).toBe(0);
}

function nextOf(world: World): number {
  return world.opening.splice(0)[0] ?? 0;
}

function refuses(world: World, why: "exhausted" | "no-such-family"): void {
  world.hears({ is: "relay-failed", relay: nextOf(world), why });
}

function relaysOf(world: World): number[] {
  return world.routes.map(([, far]) => far.socket);
}

describe("ADDITIONAL-ADDRESS-FAMILY", () => {
  test("opens a port of each family, and answers with both when both are open", () => {
    const { world } = asking();
    expect(world.actions).toMatchObject([{ do: "open-relay", family: 4 }]);
    world.opens(nextOf(world), four);
    expect(world.actions).toMatchObject([{ do: "open-relay", family: 6 }]);
    world.opens(nextOf(world), six);
    expect(answerIn(world)?.attributes).toMatchObject({ xorRelayedAddress: [four, six], lifetime: 600 });
    expect(answerIn(world)?.attributes.addressErrorCode).toBeUndefined();
    const opened = world.facts.filter(({ fact }) => fact === "allocation-opened");
    expect(opened).toMatchObject([{ relayed: four }, { relayed: six }]);
  });

  test("asks for an even port twice with EVEN-PORT", () => {
    const { world } = asking({}, { evenPort: { reservesNext: false } });
    expect(world.actions).toMatchObject([{ family: 4, port: "even" }]);
    world.opens(nextOf(world), four);
    expect(world.actions).toMatchObject([{ family: 6, port: "even" }]);
  });

  test.each([
    ["exhausted", 508],
    ["no-such-family", 440],
  ] as const)("is met in part where the IPv6 port fails: %s", (why, code) => {
    const { world } = asking();
    world.opens(nextOf(world), four);
    refuses(world, why);
    expect(answerIn(world)?.attributes).toMatchObject({
      xorRelayedAddress: [four],
      addressErrorCode: { family: 6, code },
    });
    expect([...world.relays.values()]).toEqual([four]);
  });

  test("is met in part where the IPv4 port fails", () => {
    const { world } = asking();
    refuses(world, "exhausted");
    world.opens(nextOf(world), six);
    expect(answerIn(world)?.attributes).toMatchObject({
      xorRelayedAddress: [six],
      addressErrorCode: { family: 4, code: 508, reason: "Insufficient Capacity" },
    });
  });

  test("is met in part where there is no relayed address of IPv6", () => {
    const { world } = asking({ families: [4] });
    world.opens(nextOf(world), four);
    expect(answerIn(world)?.attributes).toMatchObject({
      xorRelayedAddress: [four],
      addressErrorCode: { family: 6, code: 440 },
    });
  });

  test("is refused with 508 where neither port is to be had, and leaves nothing", () => {
    const { world, client } = asking({ limits: { allocations: 1 } });
    refuses(world, "exhausted");
    refuses(world, "exhausted");
    expect(answerIn(world)?.attributes.errorCode?.code).toBe(508);
    world.opensAtOnce = true;
    expect(codeOf(client.asks("allocate", dual))).toBe(0);
  });

  test("is refused with 440 where there is no relayed address of IPv4, which it asks for in silence", () => {
    expect(codeOf(new World({ families: [6] }).client().asks("allocate", dual))).toBe(440);
  });

  test.each([
    ["with IPv4 for the additional one", { additionalAddressFamily: 4 }],
    ["beside REQUESTED-ADDRESS-FAMILY", { requestedAddressFamily: 4 }],
    ["beside REQUESTED-ADDRESS-FAMILY of IPv6", { requestedAddressFamily: 6 }],
    ["beside EVEN-PORT with R", { evenPort: { reservesNext: true } }],
    ["beside RESERVATION-TOKEN", { reservationToken: new Uint8Array(8) }],
  ] as const)("is refused with 400 %s", (_, attributes) => {
    const world = new World();
    expect(codeOf(world.client().asks("allocate", { ...dual, ...attributes }))).toBe(400);
    expect(world.opening).toEqual([]);
  });

  test("is refused with 440 before 400, in the order of the steps", () => {
    const client = new World({ families: [6] }).client();
    expect(codeOf(client.asks("allocate", { ...dual, evenPort: { reservesNext: true } }))).toBe(440);
  });

  test("closes the first port where the client hangs up before the second is open", () => {
    const world = new World();
    const client = world.client("198.51.100.7", { transport: "tcp" });
    client.fetchNonce();
    world.opensAtOnce = false;
    client.sends(client.sign(client.request("allocate", dual)));
    world.opens(nextOf(world), four);
    world.hears({ is: "hung-up", via: client.tuple.via });
    world.opens(nextOf(world), six);
    expect(world.relays.size).toBe(0);
  });

  test("gives a retransmission the same answer, and opens nothing more for it", () => {
    const world = new World();
    const client = world.client();
    client.fetchNonce();
    const request = client.sign(client.request("allocate", dual));
    expect(client.sends(request)).toEqual(client.sends(request));
    expect(world.relays.size).toBe(2);
  });

  test("is known by its old number as well, which coturn's client sends", () => {
    const client = new World().client();
    client.fetchNonce();
    const signed = Buffer.from(client.sign(client.request("allocate", dual)));
    signed.writeUInt16BE(0x8032, signed.indexOf(Buffer.from("80000004", "hex")));
    expect(client.hearsBack(client.seal(signed)).attributes.xorRelayedAddress).toHaveLength(2);
  });

  test("counts as one allocation", () => {
    const world = new World({ limits: { allocationsPerUser: 1 } });
    expect(codeOf(world.client().asks("allocate", dual))).toBe(0);
    expect(codeOf(world.client("198.51.100.8").asks("allocate", dual))).toBe(486);
  });
});

describe("a dual allocation", () => {
  test("relays through the port of the peer's family", () => {
    const { world, client, relay4, relay6 } = standing();
    const via = world.routes.map(([, far]) => [far.peer.address, far.socket]);
    expect(new Map(via as [string, number][])).toEqual(
      new Map([
        [peer.address, relay4],
        [sixthPeer.address, relay6],
      ]),
    );
    const data = new Uint8Array(1);
    expect(client.indicates({ xorPeerAddress: [peer], data })).toMatchObject([{ via: relay4 }]);
    expect(client.indicates({ xorPeerAddress: [sixthPeer], data })).toMatchObject([{ via: relay6 }]);
  });

  test("is refreshed in both with no family named, and in one with its family named", () => {
    const { world, client, relay4, relay6 } = standing();
    world.passes(100);
    expect(client.asks("refresh", { requestedAddressFamily: 6, lifetime: 1000 }).attributes.lifetime).toBe(1000);
    world.passes(499);
    expect([...world.relays.keys()]).toEqual([relay4, relay6]);
    world.passes(1);
    expect([...world.relays.keys()], "600 seconds after it was opened").toEqual([relay6]);
    expect(world.facts.at(-1)).toMatchObject({ fact: "allocation-closed", relay: relay4, why: "expired" });
    client.fetchNonce();
    expect(client.asks("refresh").attributes.lifetime).toBe(600);
    world.passes(599);
    expect(world.relays.size).toBe(1);
    world.passes(1);
    expect(world.relays.size).toBe(0);
  });

  test("loses one family with all that hangs on it to a Refresh of zero, and nothing of the other", () => {
    const { world, client, relay4, relay6 } = standing();
    const request = client.sign(client.request("refresh", { requestedAddressFamily: 4, lifetime: 0 }));
    const [answer] = client.sends(request);
    expect(decode(answer ?? new Uint8Array())?.attributes.lifetime).toBe(0);
    expect([...world.relays.keys()]).toEqual([relay6]);
    expect(relaysOf(world)).toEqual([relay6, relay6]);
    expect(world.facts).toContainEqual({ fact: "allocation-closed", relay: relay4, user: "alice", why: "deleted" });
    expect(client.sends(request), "its retransmission").toEqual([answer]);

    const data = new Uint8Array(1);
    expect(client.indicates({ xorPeerAddress: [peer], data })).toEqual([]);
    expect(client.indicates({ xorPeerAddress: [sixthPeer], data })).toMatchObject([{ via: relay6 }]);
    expect(codeOf(client.asks("createPermission", { xorPeerAddress: [peer] }))).toBe(443);
    expect(codeOf(client.asks("refresh", { requestedAddressFamily: 4 }))).toBe(443);
    expect(codeOf(client.asks("channelBind", { channelNumber: 0x4000, xorPeerAddress: [sixthPeer] }))).toBe(400);
    expect(
      codeOf(client.asks("channelBind", { channelNumber: 0x4002, xorPeerAddress: [otherPeer] })),
      "a peer of the family that is gone",
    ).toBe(443);
  });

  test("ends with a Refresh of zero that names no family, or with the last of its families", () => {
    const whole = standing();
    whole.client.asks("refresh", { lifetime: 0 });
    expect(whole.world.relays.size).toBe(0);
    expect(codeOf(whole.client.asks("refresh"))).toBe(437);

    const { world, client } = standing();
    client.asks("refresh", { lifetime: 0, requestedAddressFamily: 6 });
    client.asks("refresh", { lifetime: 0, requestedAddressFamily: 4 });
    expect(world.relays.size).toBe(0);
    expect(codeOf(client.asks("refresh"))).toBe(437);
    expect(codeOf(client.asks("allocate", dual))).toBe(0);
  });

  test("has routes that end with the port of their family", () => {
    const { world, client, relay4 } = standing();
    world.passes(100);
    client.asks("refresh", { requestedAddressFamily: 6, lifetime: 3600 });
    world.passes(450);
    client.fetchNonce();
    client.asks("createPermission", { xorPeerAddress: [peer, sixthPeer] });
    const ends = world.routes.filter(([, far]) => far.socket === relay4).map(([near]) => near.until - world.now);
    expect(ends).toEqual([50_000, 50_000]);
  });
});
