import { describe, expect, test } from "vitest";
import type { Action } from "../../src/contract.ts";
import { writeChannelData } from "../../src/stun/channel-data.ts";
import { decode } from "../../src/stun/message.ts";
import { mintCredential } from "../../src/turn/credentials.ts";
import { MobilityTickets } from "../../src/turn/mobility-tickets.ts";
import { type Client, codeOf, otherPeer, peer, secret, sixthPeer, World, type WorldOptions } from "./world.ts";

const wantsTicket = { mobilityTicket: new Uint8Array() };
const channelNumber = 0x4001;
const home = "198.51.100.7";
const away = "203.0.113.9";

function worldOf(options: WorldOptions = {}): World {
  return new World({
    mobility: true,
    abilities: { movesAmong: [["udp", "dtls", "tcp", "tls"]], dontFragment: [] },
    ...options,
  });
}

/** A client with a ticket and a channel to `peer`. */
function mobileClient(world: World, client: Client = world.client(home)): { client: Client; ticket: Uint8Array } {
  const answer = client.asks("allocate", { requestedTransport: 17, ...wantsTicket });
  client.asks("channelBind", { channelNumber, xorPeerAddress: [peer] });
  return { client, ticket: ticketOf(answer) };
}

function ticketOf({ attributes }: ReturnType<Client["asks"]>): Uint8Array {
  if (!attributes.mobilityTicket) throw new Error("no ticket");
  return attributes.mobilityTicket;
}

function sendsData(client: Client, text = "data", number = channelNumber): Action[] {
  return client.world.hears({ is: "datagram", ...client.tuple, bytes: writeChannelData(number, Buffer.from(text)) });
}

/** Where the plane sends what `peer` sends. */
function clientsOfRoutes(world: World): unknown[] {
  return [...new Set(world.routes.map(([{ socket, peer }]) => `${socket} ${peer.address} ${peer.port}`))];
}

function placeOf({ tuple: { via, from } }: Client): string {
  return `${via} ${from.address} ${from.port}`;
}

describe("mobility, where it is off", () => {
  test("is forbidden to who asks for it with 405", () => {
    const client = new World().client();
    expect(codeOf(client.asks("allocate", { requestedTransport: 17, ...wantsTicket }))).toBe(405);
    client.allocates();
    expect(codeOf(client.asks("refresh", { mobilityTicket: Buffer.alloc(40) }))).toBe(405);
  });

  test("gives nobody a ticket", () => {
    const client = new World().client();
    expect(client.asks("allocate", { requestedTransport: 17 }).attributes.mobilityTicket).toBeUndefined();
  });
});

describe("a ticket", () => {
  test("is for who asks for one with an empty one, and for nobody else", () => {
    const world = worldOf();
    const answer = world.client(home).asks("allocate", { requestedTransport: 17 });
    expect(answer.attributes.mobilityTicket).toBeUndefined();
    const full = world.client(away).asks("allocate", { requestedTransport: 17, mobilityTicket: Buffer.alloc(4) });
    expect(codeOf(full)).toBe(400);
    expect(ticketOf(world.client(away).asks("allocate", { requestedTransport: 17, ...wantsTicket }))).toHaveLength(40);
  });

  test("is the same in the answer to a retransmission", () => {
    const world = worldOf();
    const client = world.client(home);
    client.fetchNonce();
    const request = client.sign(client.request("allocate", { requestedTransport: 17, ...wantsTicket }));
    const [answer] = client.sends(request);
    expect(client.sends(request)).toEqual([answer]);
  });

  test("is refused with 437, and changes nothing, if it was forged, cut, made longer or is another server's", () => {
    const world = worldOf();
    const { client, ticket } = mobileClient(world);
    const thief = world.client(away);
    const forged = Array.from({ length: ticket.length * 8 }, (_, bit) => {
      return Uint8Array.from(ticket, (byte, i) => (i === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));
    });
    const cut = Array.from({ length: ticket.length }, (_, length) => ticket.subarray(0, length));
    const strange = new MobilityTickets(Buffer.alloc(16, 9)).seal({ number: 1, issue: 0 });
    for (const wrong of [...forged, ...cut, Buffer.concat([ticket, Buffer.alloc(1)]), strange]) {
      expect(codeOf(thief.asks("refresh", { mobilityTicket: wrong }))).toBe(437);
    }
    expect(clientsOfRoutes(world)).toEqual([placeOf(client)]);
    expect(codeOf(thief.asks("refresh", { mobilityTicket: ticket })), "the right one").toBe(0);
  });

  test("is refused with 441 to another user, with 437 once its allocation has ended", () => {
    const world = worldOf();
    const { client, ticket } = mobileClient(world);
    const bob = world.client(away, { user: "bob" });
    expect(codeOf(bob.asks("refresh", { mobilityTicket: ticket }))).toBe(441);
    client.asks("refresh", { lifetime: 0 });
    expect(codeOf(world.client(away).asks("refresh", { mobilityTicket: ticket }))).toBe(437);
    const other = mobileClient(world);
    world.passes(600);
    expect(codeOf(world.client(away).asks("refresh", { mobilityTicket: other.ticket }))).toBe(437);
  });

  test("is of no use with a wrong password", () => {
    const world = worldOf();
    const { ticket } = mobileClient(world);
    const thief = world.client(away);
    thief.fetchNonce();
    thief.password = "guessed";
    const [answer = new Uint8Array()] = thief.sends(thief.sign(thief.request("refresh", { mobilityTicket: ticket })));
    expect(decode(answer)?.attributes.errorCode?.code).toBe(401);
  });

  test("is refused with 400 where its client already is", () => {
    const { client, ticket } = mobileClient(worldOf());
    expect(codeOf(client.asks("refresh", { mobilityTicket: ticket }))).toBe(400);
  });

  test("is refused with 437 where there is another allocation", () => {
    const world = worldOf();
    const { ticket } = mobileClient(world);
    const other = world.client(away);
    other.allocates();
    expect(codeOf(other.asks("refresh", { mobilityTicket: ticket }))).toBe(437);
  });

  test("is good until the client is heard of with the next one, and no longer", () => {
    const world = worldOf();
    const { ticket } = mobileClient(world);
    const moved = world.client(away);
    const next = ticketOf(moved.asks("refresh", { mobilityTicket: ticket }));
    expect(Buffer.from(next).equals(ticket)).toBe(false);
    const again = ticketOf(moved.asks("refresh", { mobilityTicket: ticket }));
    expect(codeOf(world.client("203.0.113.10").asks("refresh", { mobilityTicket: next })), "overtaken").toBe(437);

    sendsData(moved);
    for (const used of [ticket, next]) {
      expect(codeOf(world.client("203.0.113.10").asks("refresh", { mobilityTicket: used }))).toBe(437);
    }
    expect(codeOf(world.client("203.0.113.10").asks("refresh", { mobilityTicket: again }))).toBe(0);
  });
});

describe("a Refresh with a ticket", () => {
  test("begins a new life, and has the same answer when it comes again, also after the move", () => {
    const world = worldOf();
    const { ticket } = mobileClient(world);
    world.passes(300);
    const moved = world.client(away);
    moved.fetchNonce();
    const request = moved.sign(moved.request("refresh", { mobilityTicket: ticket, lifetime: 1200 }));
    const [answer = new Uint8Array()] = moved.sends(request);
    expect(decode(answer)?.attributes).toMatchObject({ lifetime: 1200, mobilityTicket: expect.anything() });
    expect(moved.sends(request)).toEqual([answer]);
    sendsData(moved);
    expect(moved.sends(request)).toEqual([answer]);
  });

  test("leaves the routes where they are, and has the plane listen for the client", () => {
    const world = worldOf();
    const { client, ticket } = mobileClient(world);
    const moved = world.client(away);
    moved.asks("refresh", { mobilityTicket: ticket });
    expect(clientsOfRoutes(world)).toEqual([placeOf(client)]);
    const { via, from } = moved.tuple;
    expect(world.actions).toContainEqual({ do: "expect", via, from, until: world.now + 600_000 });
    expect(codeOf(client.asks("createPermission", { xorPeerAddress: [otherPeer] })), "from where it was").toBe(0);
    expect(clientsOfRoutes(world)).toEqual([placeOf(client)]);
  });

  test("of zero seconds ends the allocation, from there as well", () => {
    const world = worldOf();
    const { ticket } = mobileClient(world);
    const moved = world.client(away);
    expect(moved.asks("refresh", { mobilityTicket: ticket, lifetime: 0 }).attributes).toMatchObject({ lifetime: 0 });
    expect(world.relays.size).toBe(0);
    expect(world.routes).toEqual([]);
  });

  test("has the plane listen for the client no longer than there is an allocation", () => {
    const world = worldOf();
    const { client, ticket } = mobileClient(world);
    const moved = world.client(away);
    moved.asks("refresh", { mobilityTicket: ticket });
    client.asks("refresh", { lifetime: 0 });
    const { via, from } = moved.tuple;
    expect(world.actions).toContainEqual({ do: "expect", via, from, until: 0 });
  });

  test("does not outlive the credential that signed it", () => {
    const world = worldOf();
    const credential = mintCredential(secret, "joe", world.now / 1000 + 900);
    const [client, moved] = [home, away].map((address) => Object.assign(world.client(address), credential));
    if (!client || !moved) throw new Error("no clients");
    const { ticket } = mobileClient(world, client);
    world.passes(100);
    expect(moved.asks("refresh", { mobilityTicket: ticket, lifetime: 3600 }).attributes.lifetime).toBe(800);
  });
});

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
