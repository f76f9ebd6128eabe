// B9: guesses at passwords that people chose. What is answered does not matter to it, so neither does the transport.

import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { mintCredential } from "../../src/turn/credentials.ts";
import { type Client, codeOf, secret, World } from "./world.ts";

const requestedTransport = 17;
const burst = 100;

/** Wrong passwords for the client's name; the codes of the answers. */
function guesses(client: Client, times: number): number[] {
  if (!client.nonce) client.fetchNonce();
  return Array.from({ length: times }, () => {
    const wrong = client.sign(client.request("allocate", { requestedTransport }), { key: randomBytes(16) });
    return codeOf(client.hearsBack(wrong));
  });
}

describe("guesses at a password", () => {
  test.each(["udp", "tcp", "tls"] as const)("over %s find nothing after the first hundred", (transport) => {
    const world = new World();
    const guesser = world.client("198.51.100.7", { transport });
    expect(new Set(guesses(guesser, burst))).toEqual(new Set([401]));
    expect(codeOf(guesser.asks("allocate", { requestedTransport }))).toBe(401);
    world.passes(1);
    expect(codeOf(guesser.asks("allocate", { requestedTransport }))).toBe(0);
  });

  test("are found out once a second beyond those, and no sooner after a long while", () => {
    const world = new World();
    const guesser = world.client();
    guesses(guesser, burst);
    world.passes(1);
    guesses(guesser, 1);
    expect(codeOf(guesser.asks("allocate", { requestedTransport }))).toBe(401);
    world.passes(500);
    guesses(guesser, burst);
    expect(codeOf(guesser.asks("allocate", { requestedTransport }))).toBe(401);
  });

  test("are counted for whole networks, from whichever port and over whichever transport", () => {
    const world = new World();
    for (let port = 5000; port < 5000 + burst; port += 1) guesses(world.client("198.51.100.7", { port }), 1);
    const neighbour = world.client("198.51.100.200", { transport: "tls" });
    expect(codeOf(neighbour.asks("allocate", { requestedTransport }))).toBe(401);
  });

  test("shut out no other user there, and the same user nowhere else", () => {
    const world = new World();
    guesses(world.client(), burst);
    world.client("198.51.100.7", { port: 5001, user: "bob" }).allocates();
    world.client("203.0.113.7").allocates();
  });

  test("take no allocation from who has one", () => {
    const world = new World();
    const alice = world.client("198.51.100.7", { port: 5001 });
    alice.allocates();
    guesses(world.client(), burst);
    expect(codeOf(alice.asks("refresh", { lifetime: 600 }))).toBe(0);
  });

  test("in somebody's name shut out nobody who has a nonce of his own", () => {
    const world = new World();
    const forged = world.client("198.51.100.7", { port: 5001 });
    forged.nonce = "anything";
    guesses(forged, burst);
    world.client().allocates();
    expect(codeOf(forged.asks("allocate", { requestedTransport }))).toBe(401);
  });

  test("are not counted where a secret vouches for the name, for nobody chose that password", () => {
    const world = new World();
    const client = world.client();
    Object.assign(client, mintCredential(secret, "carol", world.now / 1000 + 60));
    guesses(client, 2 * burst);
    client.allocates();
  });

  test("are told from right passwords by nothing in the answer when they are too many", () => {
    const [right, unknown] = ["alice", "mallory"].map((username) => {
      const client = new World().client();
      guesses(client, burst);
      client.username = username;
      return client.sends(client.sign(client.request("allocate", { requestedTransport })));
    });
    expect(right).toHaveLength(1);
    expect(right).toEqual(unknown);
  });
});
