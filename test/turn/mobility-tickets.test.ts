// Who gets a ticket, and what a Refresh that shows one does before the client is heard of (RFC 8016 section 3).

import { describe, expect, test } from "vitest";
import { decode } from "../../src/stun/message.ts";
import { mintCredential } from "../../src/turn/credentials.ts";
import { MobilityTickets } from "../../src/turn/mobility-tickets.ts";
import {
  away,
  clientsOfRoutes,
  home,
  mobileClient,
  placeOf,
  sendsData,
  ticketOf,
  wantsTicket,
  worldOf,
} from "./mobile-client.ts";
import { codeOf, otherPeer, secret, World } from "./world.ts";

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
