import { describe, expect, test } from "vitest";
import type { Endpoint } from "../../src/contract.ts";
import { mintCredential } from "../../src/turn/credentials.ts";
import { codeOf, otherPeer, peer, secret, World } from "./world.ts";

const udp = { requestedTransport: 17 };

describe("quotas", () => {
  test("refuse one allocation more for a user with 486, until one of that user's ends", () => {
    const world = new World({ limits: { allocationsPerUser: 2 } });
    const one = world.client("198.51.100.1");
    one.allocates();
    world.client("198.51.100.2").allocates();
    const three = world.client("198.51.100.3");
    expect(codeOf(three.asks("allocate", udp))).toBe(486);
    world.client("198.51.100.3", { user: "bob", port: 9 }).allocates();

    one.asks("refresh", { lifetime: 0 });
    three.allocates();
    expect(codeOf(one.asks("allocate", udp))).toBe(486);
    world.passes(600);
    one.nonce = "";
    one.allocates();
  });

  test("count a user by the user part of a name that expires", () => {
    const world = new World({ limits: { allocationsPerUser: 1 } });
    const carols = [3600, 7200].map((seconds) => mintCredential(secret, "carol", world.now / 1000 + seconds));
    const clients = carols.map((credential, i) => Object.assign(world.client(`198.51.100.${i}`), credential));
    expect(clients.map((client) => codeOf(client.asks("allocate", udp)))).toEqual([0, 486]);
  });

  test("refuse one allocation more for a client's address with 486, and for an IPv6 client's /64", () => {
    const world = new World({ limits: { allocationsPerAddress: 1 } });
    const first = world.client("198.51.100.1");
    first.allocates();
    const second = world.client("198.51.100.1", { port: 9, user: "bob" });
    expect(codeOf(second.asks("allocate", udp))).toBe(486);
    first.asks("refresh", { lifetime: 0 });
    second.allocates();
    world.client("198.51.100.2").allocates();
    world.client("2001:db8:1:2::1").allocates();
    expect(codeOf(world.client("2001:db8:1:2:ffff::2").asks("allocate", udp))).toBe(486);
    world.client("2001:db8:1:3::1").allocates();
  });

  test("refuse one allocation more for anybody with 508", () => {
    const world = new World({ limits: { allocations: 2 } });
    world.client("198.51.100.1").allocates();
    const tcp = world.client("198.51.100.2", { transport: "tcp" });
    tcp.allocates();
    const third = world.client("198.51.100.3", { user: "bob" });
    expect(codeOf(third.asks("allocate", udp))).toBe(508);
    world.hears({ is: "hung-up", via: tcp.tuple.via });
    third.allocates();
  });

  test("count what is still being opened", () => {
    const world = new World({ limits: { allocationsPerUser: 1 } });
    world.opensAtOnce = false;
    const one = world.client("198.51.100.1");
    one.fetchNonce();
    one.sends(one.sign(one.request("allocate", udp)));
    expect(codeOf(world.client("198.51.100.2").asks("allocate", udp))).toBe(486);
  });
});

describe("a plane that has no room for more routes", () => {
  test("has what is new refused with 508, and what there is goes on", () => {
    let hasRoom = true;
    const abilities = {
      movesAmong: [
        ["udp", "dtls"],
        ["tcp", "tls"],
      ],
      dontFragment: [],
      hasRoom: () => hasRoom,
    } as const;
    const world = new World({ abilities });
    const client = world.client();
    client.allocates();
    const permits = () => codeOf(client.asks("createPermission", { xorPeerAddress: [peer] }));
    const binds = (channelNumber: number, to: Endpoint) =>
      codeOf(client.asks("channelBind", { channelNumber, xorPeerAddress: [to] }));
    expect([permits(), binds(0x4001, peer)]).toEqual([0, 0]);

    hasRoom = false;
    world.passes(60);
    expect([permits(), binds(0x4001, peer)]).toEqual([0, 0]);
    expect(binds(0x4002, otherPeer)).toBe(508);
    expect(codeOf(client.asks("createPermission", { xorPeerAddress: [peer, otherPeer] }))).toBe(508);
    expect(world.routes.filter(([, { peer: to }]) => to.address === otherPeer.address)).toEqual([]);

    hasRoom = true;
    expect(binds(0x4002, otherPeer)).toBe(0);
  });
});
