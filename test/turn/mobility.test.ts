// How an allocation goes where its client goes (RFC 8016 section 3.2.2).

import { describe, expect, test } from "vitest";
import {
  away,
  channelNumber,
  clientsOfRoutes,
  home,
  mobileClient,
  placeOf,
  sendsData,
  ticketOf,
  wantsTicket,
  worldOf,
} from "./mobile-client.ts";
import { type Client, codeOf, otherPeer, peer, sixthPeer, type WorldOptions } from "./world.ts";

describe("an allocation moves to where its client is", () => {
  const ways: [string, (moved: Client) => unknown][] = [
    ["ChannelData", (moved) => sendsData(moved)],
    ["ChannelData on a channel that is not bound", (moved) => sendsData(moved, "data", 0x4fff)],
    ["a Send indication", (moved) => moved.indicates({ xorPeerAddress: [peer], data: Buffer.from("data") })],
    ["a permission", (moved) => moved.asks("createPermission", { xorPeerAddress: [otherPeer] })],
    ["a permission that is refused", (moved) => moved.asks("createPermission", { xorPeerAddress: [] })],
    ["a channel", (moved) => moved.asks("channelBind", { channelNumber, xorPeerAddress: [peer] })],
    ["a Refresh without a ticket", (moved) => moved.asks("refresh")],
  ];

  test.each(ways)("with %s from there", (_, speaks) => {
    const world = worldOf();
    const { client, ticket } = mobileClient(world);
    const [relay] = world.relays.keys();
    client.asks("createPermission", { xorPeerAddress: [otherPeer] });
    const before = world.routes.length;
    const moved = world.client(away);
    moved.asks("refresh", { mobilityTicket: ticket });
    speaks(moved);
    expect(clientsOfRoutes(world)).toEqual([placeOf(moved)]);
    expect(world.routes).toHaveLength(before);
    const fact = { fact: "allocation-moved", relay, user: "alice", transport: "udp", client: moved.tuple.from };
    expect(world.facts).toContainEqual(fact);
    expect(codeOf(client.asks("refresh")), "from where it was").toBe(437);
    expect(codeOf(moved.asks("refresh"))).toBe(0);
    expect(world.server.allocations().map((each) => each.client)).toEqual([moved.tuple.from]);
  });

  test("and the first ChannelData from there goes on to its peer, after the routes", () => {
    const world = worldOf();
    const { ticket } = mobileClient(world);
    const [relay] = world.relays.keys();
    const moved = world.client(away);
    moved.asks("refresh", { mobilityTicket: ticket });
    sendsData(moved, "hello");
    const { via, from } = moved.tuple;
    expect(world.actions.at(0)).toEqual({ do: "expect", via, from, until: 0 });
    expect(world.actions.at(-1)).toEqual({ do: "send", via: relay, to: peer, bytes: Buffer.from("hello") });
    expect(world.actions.findIndex((action) => action.do === "route")).toBeGreaterThan(0);
    sendsData(moved, "again");
    expect(world.actions).toEqual([{ do: "send", via: relay, to: peer, bytes: Buffer.from("again") }]);
  });

  test("but not for ChannelData of strangers, nor for another user there", () => {
    const world = worldOf();
    const { client, ticket } = mobileClient(world);
    const moved = world.client(away);
    moved.asks("refresh", { mobilityTicket: ticket });
    expect(sendsData(world.client("203.0.113.10"))).toEqual([]);
    const bob = world.client(away, { user: "bob" });
    expect(codeOf(bob.asks("refresh"))).toBe(441);
    expect(clientsOfRoutes(world)).toEqual([placeOf(client)]);
  });

  test("with both of its relayed addresses, of which the plane hears that they are for somebody else", () => {
    const world = worldOf();
    const client = world.client(home);
    const { attributes } = client.asks("allocate", {
      requestedTransport: 17,
      additionalAddressFamily: 6,
      ...wantsTicket,
    });
    client.asks("createPermission", { xorPeerAddress: [peer, sixthPeer] });
    const moved = world.client(away, { transport: "tcp" });
    moved.asks("refresh", { mobilityTicket: attributes.mobilityTicket });
    const { via } = moved.tuple;
    const assignments = [...world.relays.keys()].map((relay) => ({ do: "assign-relay", relay, via }));
    expect(world.actions).toEqual(expect.arrayContaining(assignments));
    moved.asks("refresh");
    expect(clientsOfRoutes(world)).toEqual([placeOf(moved)]);
    expect(world.routes).toHaveLength(2);
  });

  test("on and on, also before it was heard of where it came last, and back again", () => {
    const world = worldOf();
    const { client, ticket } = mobileClient(world);
    const [first, second] = [world.client(away), world.client("203.0.113.10")];
    const one = ticketOf(first.asks("refresh", { mobilityTicket: ticket }));
    const two = ticketOf(second.asks("refresh", { mobilityTicket: one }));
    expect(codeOf(first.asks("refresh")), "where it is not expected any more").toBe(437);
    const three = ticketOf(client.asks("refresh", { mobilityTicket: two }));
    expect(codeOf(second.asks("refresh"))).toBe(437);
    expect(clientsOfRoutes(world)).toEqual([placeOf(client)]);
    client.asks("refresh");
    ticketOf(second.asks("refresh", { mobilityTicket: three }));
    sendsData(second);
    expect(clientsOfRoutes(world)).toEqual([placeOf(second)]);
    client.asks("allocate", { requestedTransport: 17 });
    expect(world.relays.size, "the first place is free for another").toBe(2);
  });

  test("from one kind of transport to another only where the plane can do that", () => {
    for (const changesTransport of [true, false]) {
      const movesAmong = changesTransport ? ([["udp", "tcp"]] as const) : ([["udp"], ["tcp"]] as const);
      const world = worldOf({ abilities: { movesAmong, dontFragment: [] } });
      const { ticket } = mobileClient(world);
      const [onTcp, onUdp] = [world.client(away, { transport: "tcp" }), world.client(away)];
      expect(codeOf(onTcp.asks("refresh", { mobilityTicket: ticket }))).toBe(changesTransport ? 0 : 405);
      if (!changesTransport) expect(codeOf(onUdp.asks("refresh", { mobilityTicket: ticket }))).toBe(0);
    }
  });
});

describe("an allocation whose connection ends", () => {
  function onTcp(options: WorldOptions = {}) {
    const world = worldOf(options);
    return { world, ...mobileClient(world, world.client(home, { transport: "tcp" })) };
  }

  test("stays for a minute if it is mobile, and moves at once with the ticket", () => {
    const { world, client, ticket } = onTcp();
    world.hears({ is: "hung-up", via: client.tuple.via });
    world.passes(59);
    expect(world.relays.size).toBe(1);
    const back = world.client(home, { port: 5001, transport: "tcp" });
    back.asks("refresh", { mobilityTicket: ticket });
    expect(clientsOfRoutes(world)).toContain(placeOf(back));
    world.passes(599);
    expect(world.relays.size).toBe(1);
    world.passes(1);
    expect(world.relays.size).toBe(0);
  });

  test("and does not come back, ends after that minute", () => {
    const { world, client, ticket } = onTcp();
    world.hears({ is: "hung-up", via: client.tuple.via });
    world.passes(60);
    expect(world.relays.size).toBe(0);
    expect(world.facts.at(-1)).toMatchObject({ fact: "allocation-closed", why: "expired" });
    expect(codeOf(world.client(away).asks("refresh", { mobilityTicket: ticket }))).toBe(437);
  });

  test("and was to end before, ends then", () => {
    const { world, client } = onTcp();
    world.passes(570);
    world.hears({ is: "hung-up", via: client.tuple.via });
    world.passes(30);
    expect(world.relays.size).toBe(0);
  });

  test("moves to where its client has shown the ticket before", () => {
    const { world, client, ticket } = onTcp();
    const moved = world.client(away, { transport: "tcp" });
    moved.asks("refresh", { mobilityTicket: ticket });
    expect(clientsOfRoutes(world)).toEqual([placeOf(client)]);
    world.hears({ is: "hung-up", via: client.tuple.via });
    expect(clientsOfRoutes(world)).toEqual([placeOf(moved)]);
  });

  test("stays where it is if the other connection ends before anything came from there", () => {
    const { world, client, ticket } = onTcp();
    const moved = world.client(away, { transport: "tcp" });
    const next = ticketOf(moved.asks("refresh", { mobilityTicket: ticket }));
    world.hears({ is: "hung-up", via: moved.tuple.via });
    expect(clientsOfRoutes(world)).toEqual([placeOf(client)]);
    expect(codeOf(client.asks("refresh"))).toBe(0);
    const again = world.client("203.0.113.10", { transport: "tcp" });
    expect(codeOf(again.asks("refresh", { mobilityTicket: next })), "the answer has come").toBe(0);
  });

  test("ends with it if nobody asked for a ticket", () => {
    const world = worldOf();
    const client = world.client(home, { transport: "tcp" });
    client.allocates();
    world.hears({ is: "hung-up", via: client.tuple.via });
    expect(world.relays.size).toBe(0);
  });
});

describe("quotas", () => {
  test("go on counting what has moved, and what waits for its client", () => {
    const world = worldOf({ limits: { allocationsPerUser: 2 } });
    const { ticket } = mobileClient(world);
    const moved = world.client(away);
    moved.asks("refresh", { mobilityTicket: ticket });
    sendsData(moved);
    const tcp = world.client(home, { transport: "tcp" });
    mobileClient(world, tcp);
    world.hears({ is: "hung-up", via: tcp.tuple.via });
    const third = world.client("203.0.113.10");
    expect(codeOf(third.asks("allocate", { requestedTransport: 17 }))).toBe(486);
    world.passes(60);
    third.nonce = "";
    expect(codeOf(third.asks("allocate", { requestedTransport: 17 }))).toBe(0);
  });

  test("count what has moved at the address where it is", () => {
    const world = worldOf({ limits: { allocationsPerAddress: 1 } });
    const { ticket } = mobileClient(world);
    world.client(away).allocates();
    const crowded = world.client(away, { port: 5001 });
    expect(codeOf(crowded.asks("refresh", { mobilityTicket: ticket }))).toBe(486);
    const moved = world.client("203.0.113.10");
    moved.asks("refresh", { mobilityTicket: ticket });
    sendsData(moved);
    world.client(home, { port: 5002 }).allocates();
    const next = world.client("203.0.113.10", { port: 5001 });
    expect(codeOf(next.asks("allocate", { requestedTransport: 17 }))).toBe(486);
  });

  test("hold one client expected for each allocation, however often it shows its ticket", () => {
    const world = worldOf();
    let { ticket } = mobileClient(world);
    const expected = new Set<string>();
    for (let port = 6000; port < 6100; port++) {
      const moved = world.client(away, { port });
      ticket = ticketOf(moved.asks("refresh", { mobilityTicket: ticket }));
      for (const action of world.actions) {
        if (action.do !== "expect") continue;
        const place = `${action.from.address} ${action.from.port}`;
        if (action.until > 0) expected.add(place);
        else expected.delete(place);
      }
      world.passes(1);
    }
    expect([...expected]).toEqual([`${away} 6099`]);
  });
});
