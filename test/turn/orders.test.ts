import { describe, expect, test } from "vitest";
import type { Banned, Order } from "../../src/contract.ts";
import { mintCredential } from "../../src/turn/credentials.ts";
import { codeOf, otherPeer, peer, secret, World } from "./world.ts";

const udp = { requestedTransport: 17 };
const hour = 3_600_000;

function people() {
  const world = new World();
  const alice = world.client("198.51.100.1");
  const bob = world.client("203.0.113.1", { user: "bob" });
  return { world, alice, bob };
}

describe("the operator sees", () => {
  test("every allocation that is open: whose it is, from where, on which relay ports, and how long", () => {
    const { world, alice } = people();
    world.opensAtOnce = false;
    alice.asks("refresh");
    expect(world.server.allocations()).toEqual([]);
    const start = world.now;
    alice.sends(alice.sign(alice.request("allocate", udp)));
    expect(world.server.allocations()).toEqual([]);
    world.now += 1000;
    const [relay = 0] = world.opening.splice(0);
    world.opens(relay, { address: "192.0.2.1", port: 50_000 });
    expect(world.server.allocations()).toEqual([
      {
        ports: [{ relay, family: 4, relayed: { address: "192.0.2.1", port: 50_000 } }],
        user: "alice",
        transport: "udp",
        client: alice.tuple.from,
        since: start,
        until: world.now + 600_000,
      },
    ]);
    alice.asks("refresh", { lifetime: 0 });
    expect(world.server.allocations()).toEqual([]);
  });

  test("both relay ports of a dual allocation as one", () => {
    const { world, alice } = people();
    alice.allocates({ additionalAddressFamily: 6 });
    expect(world.server.allocations().map(({ ports }) => ports.map(({ family }) => family))).toEqual([[4, 6]]);
  });
});

describe("an allocation that the operator closes", () => {
  test("is gone with its relay ports and routes, and says who closed it", () => {
    const { world, alice, bob } = people();
    alice.allocates({ additionalAddressFamily: 6 });
    bob.allocates();
    alice.asks("createPermission", { xorPeerAddress: [peer] });
    const [of] = world.server.allocations();
    const second = of?.ports[1]?.relay ?? 0;
    world.hears({ is: "ordered", order: { order: "close", relay: second } });
    expect(world.relays.size).toBe(1);
    expect(world.routes).toEqual([]);
    expect(world.server.allocations().map(({ user }) => user)).toEqual(["bob"]);
    expect(world.facts).toContainEqual({ fact: "allocation-closed", relay: second, user: "alice", why: "ordered" });
    expect(codeOf(alice.asks("refresh"))).toBe(437);
    alice.allocates();
  });

  test("may be none: nothing happens then", () => {
    const { world, alice } = people();
    alice.allocates();
    expect(world.hears({ is: "ordered", order: { order: "close", relay: 9999 } })).toEqual([]);
  });
});

describe("a ban of a user", () => {
  test("ends what he has, and refuses him with 403 until its end; others are served", () => {
    const { world, alice, bob } = people();
    alice.allocates();
    bob.allocates();
    ban(world, { user: "alice" }, 60_000);
    expect(world.server.allocations().map(({ user }) => user)).toEqual(["bob"]);
    expect(codeOf(alice.asks("allocate", udp))).toBe(403);
    expect(codeOf(world.client("192.0.2.200").asks("allocate", udp))).toBe(403);
    expect(codeOf(bob.asks("refresh"))).toBe(0);
    world.passes(60);
    alice.allocates();
  });

  test("holds for every name that expires of his", () => {
    const { world } = people();
    ban(world, { user: "carol" }, hour);
    const carol = Object.assign(world.client(), mintCredential(secret, "carol", world.now / 1000 + 3600));
    expect(codeOf(carol.asks("allocate", udp))).toBe(403);
  });

  test("also ends what is still being opened", () => {
    const { world, alice } = people();
    alice.fetchNonce();
    world.opensAtOnce = false;
    alice.sends(alice.sign(alice.request("allocate", udp)));
    ban(world, { user: "alice" }, hour);
    const [relay = 0] = world.opening.splice(0);
    expect(world.opens(relay)).toEqual([{ do: "close-relay", relay }]);
  });
});

describe("a ban of a network", () => {
  test("ends what its clients have, and answers them nothing until its end", () => {
    const { world, alice, bob } = people();
    alice.allocates();
    bob.allocates();
    ban(world, { network: "198.51.100.0/24" }, 60_000);
    expect(world.server.allocations().map(({ user }) => user)).toEqual(["bob"]);
    expect(alice.sends(alice.sign(alice.request("allocate", udp)))).toEqual([]);
    expect(codeOf(bob.asks("refresh"))).toBe(0);
    expect(codeOf(world.client("198.51.101.1").asks("allocate", udp))).toBe(0);
    world.passes(60);
    alice.allocates();
  });

  test("has planes leave Binding requests to us until the last one ends, as one of a user does not", () => {
    const { world } = people();
    const until = (seconds: number) => [{ do: "hand-up-bindings", until: seconds && world.now + seconds * 1000 }];
    const order = (order: Order) => world.hears({ is: "ordered", order });
    const [here, there] = [{ network: "198.51.100.0/24" }, { network: "203.0.113.0/24" }];
    expect(order({ order: "ban", whom: { user: "alice" }, until: world.now + 90_000 })).toEqual([]);
    expect(order({ order: "ban", whom: here, until: world.now + 60_000 })).toEqual(until(60));
    expect(order({ order: "ban", whom: there, until: world.now + 30_000 })).toEqual(until(60));
    expect(order({ order: "lift", whom: here })).toEqual(until(30));
    expect(order({ order: "lift", whom: there })).toEqual(until(0));
    expect(order({ order: "lift", whom: { user: "alice" } })).toEqual([]);
  });

  test("of IPv6 holds for IPv6", () => {
    const { world } = people();
    ban(world, { network: "2001:db8:7::/48" }, hour);
    const [inside, outside] = [world.client("2001:db8:7::1"), world.client("2001:db8:8::1")];
    expect(inside.sends(inside.sign(inside.request("allocate", udp)))).toEqual([]);
    outside.allocates();
  });
});

describe("bans", () => {
  test("are listed while they hold, the next one to end first, and can be lifted", () => {
    const { world, alice } = people();
    ban(world, { user: "alice" }, 2000);
    ban(world, { network: "198.51.100.0/24" }, 1000);
    ban(world, { user: "alice" }, 3000);
    expect(world.server.bans.list(world.now).map(({ whom, until }) => [whom, until - world.now])).toEqual([
      [{ network: "198.51.100.0/24" }, 1000],
      [{ user: "alice" }, 3000],
    ]);
    expect(world.server.bans.list(world.now + 1000)).toHaveLength(1);
    world.hears({ is: "ordered", order: { order: "lift", whom: { network: "198.51.100.0/24" } } });
    world.hears({ is: "ordered", order: { order: "lift", whom: { user: "alice" } } });
    expect(world.server.bans.list(world.now)).toEqual([]);
    alice.allocates();
  });

  test("are 256 at most: more are not taken, until some have ended", () => {
    const { world, alice } = people();
    for (let n = 0; n < 256; n++) ban(world, { user: `user ${n}` }, 60_000);
    ban(world, { user: "alice" }, hour);
    ban(world, { network: "198.51.100.0/24" }, hour);
    ban(world, { user: "user 7" }, hour);
    expect(world.server.bans.list(world.now)).toHaveLength(256);
    alice.allocates();
    world.passes(60);
    ban(world, { user: "alice" }, hour);
    expect(codeOf(alice.asks("refresh"))).toBe(403);
    expect(world.server.bans.list(world.now)).toHaveLength(2);
  });
});

describe("the fact of an answer", () => {
  test("names the user who asked, and else who he said he was", () => {
    const { world, alice } = people();
    alice.allocates();
    expect(world.facts.at(-1)).toMatchObject({ fact: "answered", code: 0, user: "alice" });
    expect(codeOf(alice.asks("createPermission", { xorPeerAddress: [{ address: "127.0.0.1", port: 1 }] }))).toBe(403);
    expect(world.facts.at(-1)).toMatchObject({ fact: "answered", code: 403, user: "alice" });
    alice.sends(alice.sign(alice.request("refresh"), {}, { nonce: "stale" }));
    expect(world.facts.at(-1)).toMatchObject({ fact: "answered", code: 438, user: "alice" });

    const late = Object.assign(world.client("192.0.2.9"), mintCredential(secret, "carol", world.now / 1000 - 1));
    expect(codeOf(late.asks("allocate", udp))).toBe(401);
    expect(world.facts.at(-1)).toMatchObject({ fact: "answered", code: 401, user: undefined, claimed: "carol" });
    world.client().asksBare("allocate", udp);
    expect(world.facts.at(-1)).toMatchObject({ fact: "answered", code: 401, user: undefined, claimed: undefined });
  });
});

function ban(world: World, whom: Banned, millis: number): void {
  world.hears({ is: "ordered", order: { order: "ban", whom, until: world.now + millis } });
}

describe("other lists of peers", () => {
  test("end what leads to those who may not be reached any more, at once, and nothing else", () => {
    const { world, alice } = people();
    alice.allocates();
    alice.asks("createPermission", { xorPeerAddress: [peer, otherPeer] });
    alice.asks("channelBind", { channelNumber: 0x4001, xorPeerAddress: [peer] });
    alice.asks("channelBind", { channelNumber: 0x4002, xorPeerAddress: [otherPeer] });
    const wanted = world.routes.filter(([, to]) => to.peer.address === otherPeer.address);
    const actions = world.judgesPeersBy({ deny: [`${peer.address}/32`] });
    expect(actions.map((action) => action.do)).toEqual(["unroute", "unroute", "ask-again"]);
    expect(world.routes).toEqual(wanted);
    expect(wanted).toHaveLength(2);
    expect(codeOf(alice.asks("createPermission", { xorPeerAddress: [peer] }))).toBe(403);
    const data = Buffer.from("data");
    expect(alice.indicates({ xorPeerAddress: [peer], data })).toEqual([]);
    expect(alice.indicates({ xorPeerAddress: [otherPeer], data })).toHaveLength(1);

    world.judgesPeersBy({});
    alice.asks("channelBind", { channelNumber: 0x4001, xorPeerAddress: [peer] });
    expect(world.routes).toHaveLength(4);
  });

  test("of ports end the channels to those, and leave the permission", () => {
    const { world, alice } = people();
    alice.allocates();
    alice.asks("channelBind", { channelNumber: 0x4001, xorPeerAddress: [peer] });
    world.judgesPeersBy({ denyPorts: [[peer.port, peer.port]] });
    expect(world.routes.map(([{ framing }]) => framing)).toEqual(["indication"]);
    expect(alice.indicates({ xorPeerAddress: [peer], data: Buffer.from("data") })).toEqual([]);
  });

  test("have the plane told again of a channel to one of our own addresses, whose services are not to be reached", () => {
    const own = { address: "192.0.2.1", port: 9 };
    const world = new World({ peers: { allow: ["192.0.2.1/32"] } });
    const alice = world.client();
    alice.allocates();
    alice.asks("channelBind", { channelNumber: 0x4001, xorPeerAddress: [own] });
    const [, channel] = world.routes;
    expect(world.judgesPeersBy({})).toEqual([{ do: "route", legs: channel }, { do: "ask-again" }]);
  });
});
