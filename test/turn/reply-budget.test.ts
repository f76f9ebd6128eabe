// What strangers can make the server send to one network, and that nobody else pays for it.

import { describe, expect, test } from "vitest";
import { encode } from "../../src/stun/message.ts";
import { ReplyBudget } from "../../src/turn/reply-budget.ts";
import { type Client, codeOf, World } from "./world.ts";

const replyRate = { repliesPerSecond: 10, burst: 3 };
const key = new Uint8Array(16).fill(7);
const udp = { requestedTransport: 17 };

describe("the budget of a network", () => {
  function admitted(budget: ReplyBudget, address: string, now: number, tries = 20): number {
    return Array.from({ length: tries }, () => budget.admits(address, now)).filter(Boolean).length;
  }

  test("is its burst at once, and its rate from then on", () => {
    const budget = new ReplyBudget(replyRate, key);
    expect(admitted(budget, "198.51.100.7", 1_000)).toBe(3);
    expect(admitted(budget, "198.51.100.7", 1_100)).toBe(1);
    expect(admitted(budget, "198.51.100.7", 1_300)).toBe(2);
    expect(admitted(budget, "198.51.100.7", 60_000)).toBe(3);
  });

  test("is as large from the first moment on, whatever the clock shows", () => {
    expect(admitted(new ReplyBudget(replyRate, key), "198.51.100.7", 0)).toBe(3);
    expect(admitted(new ReplyBudget(replyRate, key), "198.51.100.7", 1_800_000_000_000)).toBe(3);
  });

  test.each([
    ["an IPv4 /24", "198.51.100.255", "198.51.101.7"],
    ["an IPv6 /56", "2001:db8:0:ff::1", "2001:db8:0:100::1"],
  ])("is that of %s", (_, inside, outside) => {
    const budget = new ReplyBudget(replyRate, key);
    admitted(budget, inside.includes(":") ? "2001:db8::7" : "198.51.100.7", 0);
    expect(admitted(budget, inside, 0)).toBe(0);
    expect(admitted(budget, outside, 0)).toBe(3);
  });

  test("is shared with others by chance only, and with others under another key", () => {
    const networks = Array.from({ length: 200 }, (_, i) => `10.1.${i}.1`);
    const neighbours = (budget: ReplyBudget) => {
      for (let i = 0; i < 2000; i++) admitted(budget, `10.${2 + (i >> 8)}.${i & 255}.1`, 0, 4);
      return networks.filter((address) => !budget.admits(address, 0));
    };
    const [one, other] = [key, new Uint8Array(16).fill(8)].map((key) => neighbours(new ReplyBudget(replyRate, key)));
    expect(one?.length).toBeGreaterThan(5);
    expect(one?.length).toBeLessThan(60);
    expect(one).not.toEqual(other);
  });
});

describe("a network that had its share of replies", () => {
  const stranger = "198.51.100.99";

  function exhausted(world: World): Client {
    const flooder = world.client(stranger);
    for (let i = 0; i < replyRate.burst; i++) flooder.asksBare("binding");
    return flooder;
  }

  function withNonce(world: World, options: Parameters<World["client"]>[1] = {}): Client {
    const client = world.client("198.51.100.7", options);
    client.fetchNonce();
    world.passes(1);
    return client;
  }

  test.each(["binding", "allocate", "refresh", "createPermission", "channelBind"] as const)(
    "is not answered %s without credentials, and it is reported",
    (method) => {
      const world = new World({ replyRate });
      const flooder = exhausted(world);
      expect(flooder.sends(encode(flooder.request(method, udp)))).toEqual([]);
      const name = method.charAt(0).toUpperCase() + method.slice(1);
      expect(world.facts.at(-1)).toEqual({ fact: "unanswered", method: name, client: flooder.tuple.from });
    },
  );

  test("is answered neither wrong credentials, nor an old nonce, nor what is no request at all", () => {
    const world = new World({ replyRate });
    const client = withNonce(world);
    exhausted(world);
    const allocate = client.request("allocate", udp);
    expect(client.sends(client.sign(allocate, { key: new Uint8Array(16) }))).toEqual([]);
    expect(client.sends(client.sign(allocate, {}, { nonce: "old" }))).toEqual([]);
    expect(client.sends(encode(client.request("refresh")))).toEqual([]);
    expect(codeOf(client.hearsBack(client.sign(allocate)))).toBe(0);
  });

  test("is served as before where there are credentials", () => {
    const world = new World({ replyRate });
    const client = withNonce(world);
    exhausted(world);
    const peer = { address: "8.8.4.4", port: 4000 };
    client.allocates();
    for (let i = 0; i < 10; i++) {
      expect(codeOf(client.asks("createPermission", { xorPeerAddress: [peer] }))).toBe(0);
      expect(codeOf(client.asks("channelBind", { channelNumber: 0x4000, xorPeerAddress: [peer] }))).toBe(0);
      expect(codeOf(client.asks("refresh"))).toBe(0);
    }
    expect(codeOf(client.asks("channelBind", { channelNumber: 0x4000 }))).toBe(400);
  });

  test("keeps its allocations, since they get new nonces", () => {
    const world = new World({ replyRate, nonceLifetimeSeconds: 60 });
    const client = withNonce(world);
    client.allocates();
    world.passes(61);
    exhausted(world);
    const stale = client.asks("refresh");
    expect(codeOf(stale)).toBe(438);
    client.nonce = stale.attributes.nonce ?? "";
    expect(codeOf(client.asks("refresh"))).toBe(0);

    const bob = world.client("198.51.100.7", { user: "bob" });
    expect(bob.sends(bob.sign(bob.request("refresh"), {}, { nonce: "old" })), "whose allocation it is not").toEqual([]);
  });

  test("is answered over streams, where nobody asks in its name", () => {
    const world = new World({ replyRate });
    exhausted(world);
    const client = world.client(stranger, { transport: "tcp" });
    for (let i = 0; i < 10; i++) expect(codeOf(client.asksBare("binding"))).toBe(0);
    client.allocates();
  });

  test("leaves other networks theirs", () => {
    const world = new World({ replyRate });
    exhausted(world);
    expect(codeOf(world.client("203.0.113.7").asksBare("binding"))).toBe(0);
  });
});

test("a hundred pages at once that make six allocations each are within the default budget", () => {
  const world = new World({ limits: { allocationsPerUser: 600, allocationsPerAddress: 600 } });
  const ports = Array.from({ length: 600 }, (_, i) => 5000 + i);
  for (const port of ports) {
    const client = world.client("198.51.100.7", { port });
    client.asksBare("binding");
    client.allocates();
  }
  expect(world.facts.some(({ fact }) => fact === "unanswered")).toBe(false);
});
