import { createHmac } from "node:crypto";
import { describe, expect, test } from "vitest";
import { attributeTable } from "../../src/stun/attributes.ts";
import { longTermKey } from "../../src/stun/keys.ts";
import { decode, encode } from "../../src/stun/message.ts";
import { mintCredential } from "../../src/turn/credentials.ts";
import { codeOf, peer, realm, secret, World } from "./world.ts";

const udp = { requestedTransport: 17 };
const methods = ["allocate", "refresh", "createPermission", "channelBind"] as const;
const anything = { ...udp, xorPeerAddress: [peer], channelNumber: 0x4000, lifetime: 0 };

/** An allocation with nothing on it yet, so that any change shows. */
function standing() {
  const world = new World();
  const client = world.client();
  client.allocates();
  return { world, client };
}

function expectUnchanged(world: World): void {
  expect(world.relays.size).toBe(1);
  expect(world.opening).toEqual([]);
  expect(world.routes).toEqual([]);
}

describe.each(methods)("authentication of %s", (method) => {
  test("challenges what has no integrity with 401, realm and nonce, and no integrity", () => {
    const { world, client } = standing();
    const answer = client.asksBare(method, anything);
    expect(answer.attributes).toEqual({
      errorCode: { code: 401, reason: "" },
      realm,
      nonce: expect.stringMatching(/^obMatJos2gAAA.{15}$/),
      passwordAlgorithms: expect.anything(),
    });
    expectUnchanged(world);
  });

  test("refuses a bare header with 400", () => {
    const { client } = standing();
    expect(client.asksBare(method).attributes).toEqual({ errorCode: { code: 400, reason: "" } });
  });

  test.each(["username", "realm", "nonce"] as const)(
    "refuses what lacks its %s with 400, without a challenge",
    (key) => {
      const { world, client } = standing();
      const answer = client.hearsBack(client.sign(client.request(method, anything), {}, { [key]: undefined }));
      expect(answer.attributes).toEqual({ errorCode: { code: 400, reason: "" } });
      expectUnchanged(world);
    },
  );

  test("challenges a wrong password, an unknown user and another realm with 401", () => {
    const { world, client } = standing();
    const request = client.request(method, anything);
    expect(codeOf(client.hearsBack(client.sign(request, { key: new Uint8Array(16) })))).toBe(401);
    expect(codeOf(client.hearsBack(client.sign(request, {}, { username: "mallory" })))).toBe(401);
    expect(codeOf(client.hearsBack(client.sign(request, {}, { realm: "example.net" })))).toBe(401);
    expectUnchanged(world);
  });

  test.each(["mallory", ""])("does not take an empty password for that of an unknown user: %j", (username) => {
    const { world, client } = standing();
    client.username = username;
    client.password = "";
    expect(codeOf(client.hearsBack(client.sign(client.request(method, anything))))).toBe(401);
    expectUnchanged(world);
  });

  test("challenges a request of which one bit was turned", () => {
    const { world, client } = standing();
    const bytes = client.sign(client.request(method, anything));
    const at = 20 + 5;
    bytes.set([(bytes[at] ?? 0) ^ 1], at);
    expect(codeOf(client.hearsBack(bytes))).toBe(401);
    expectUnchanged(world);
  });

  test("answers a nonce that has expired with 438 and one that is good", () => {
    const { world, client } = standing();
    client.asks("refresh", { lifetime: 3600 });
    world.passes(600);
    const answer = client.asks(method, anything);
    expect(answer.attributes).toMatchObject({ errorCode: { code: 438 }, realm });
    expectUnchanged(world);

    client.nonce = answer.attributes.nonce ?? "";
    expect(codeOf(client.asks(method, anything))).toBe(method === "allocate" ? 437 : 0);
  });

  test("answers another client's nonce, and one that is made up, with 438", () => {
    const { world, client } = standing();
    const other = world.client("198.51.100.7", { port: 5001 });
    other.fetchNonce();
    for (const nonce of [other.nonce, "A".repeat(15), "", "nonce"]) {
      expect(codeOf(client.hearsBack(client.sign(client.request(method, anything), {}, { nonce })))).toBe(438);
    }
    expectUnchanged(world);
  });

  test("says 401 and not 438 where both integrity and nonce are wrong", () => {
    const { client } = standing();
    const key = new Uint8Array(16);
    expect(codeOf(client.hearsBack(client.sign(client.request(method, anything), { key }, { nonce: "x" })))).toBe(401);
  });

  test("comes before unknown attributes, which an attacker could have added", () => {
    const { client } = standing();
    const request = client.request(method, { ...anything, dontFragment: true });
    expect(codeOf(client.hearsBack(encode(request)))).toBe(401);
    expect(codeOf(client.hearsBack(client.sign(request)))).toBe(420);
  });

  test("takes MESSAGE-INTEGRITY-SHA256 too, whole, and answers with MESSAGE-INTEGRITY", () => {
    const { client } = standing();
    const request = client.sign(client.request(method, { ...anything, lifetime: 700 }), { algorithm: "sha256" });
    const answer = client.hearsBack(request);
    expect([0, 437]).toContain(codeOf(answer));
    expect(answer.types).toContain(attributeTable.messageIntegrity.type);

    const truncated = truncateSha256(
      client.sign(client.request(method, anything), { algorithm: "sha256" }),
      client.key,
    );
    expect(codeOf(client.hearsBack(truncated))).toBe(401);
  });
});

describe("what follows MESSAGE-INTEGRITY", () => {
  test("is ignored", () => {
    const { world, client } = standing();
    const request = client.sign(client.request("refresh", { lifetime: 700 }));
    const lifetimeOfZero = Buffer.from("000d000400000000", "hex");
    const longer = Buffer.concat([request, lifetimeOfZero]);
    longer.writeUInt16BE(longer.length - 20, 2);
    expect(client.hearsBack(longer).attributes.lifetime).toBe(700);
    expect(world.relays.size).toBe(1);
  });

  test("does not make a request that lacks something whole", () => {
    const { world, client } = standing();
    const request = client.sign(client.request("createPermission"));
    const stranger = encode(client.request("createPermission", { xorPeerAddress: [peer] })).subarray(20);
    const longer = Buffer.concat([request, stranger]);
    longer.writeUInt16BE(longer.length - 20, 2);
    expect(codeOf(client.hearsBack(longer))).toBe(400);
    expectUnchanged(world);
  });
});

describe("an answer from another user store", () => {
  test("may be one credential for many names", () => {
    const shared = { user: "guest", password: "welcome", until: Number.POSITIVE_INFINITY };
    const world = new World({ authenticate: () => [shared] });
    for (const [i, username] of ["anna", "berta", "anna"].entries()) {
      Object.assign(world.client(`198.51.100.${i}`), { username, password: "welcome" }).allocates();
    }
  });
});

describe("a credential of keys in place of a password", () => {
  const until = Number.POSITIVE_INFINITY;
  const keys = { md5: longTermKey("alice", realm, "wonderland") };

  test("lets in who knows the password, and nobody else", () => {
    const world = new World({ authenticate: () => [{ user: "alice", keys, until }] });
    world.client().allocates();
    const stranger = Object.assign(world.client("198.51.100.8"), { password: "underland" });
    expect(codeOf(stranger.asks("allocate", udp))).toBe(401);
  });

  test("is no password for whoever sees the keys", () => {
    const world = new World({ authenticate: () => [{ user: "alice", keys, until }] });
    const thief = Object.assign(world.client(), { password: Buffer.from(keys.md5).toString("hex") });
    expect(codeOf(thief.asks("allocate", udp))).toBe(401);
  });
});

describe("a name that somebody outside is to be asked about", () => {
  function stranger() {
    const known = new Set<string>();
    const world = new World({
      authenticate: (user) => (known.has(user) ? [{ user, password: "wonderland", until: world.now + 60_000 }] : []),
      mustAsk: (user) => !known.has(user),
    });
    const client = world.client();
    return { world, client, known };
  }

  test("has the question put out, with the request in it, and no answer", () => {
    const { world, client, known } = stranger();
    client.fetchNonce();
    const bytes = client.sign(client.request("allocate", udp));
    const again = { is: "datagram", ...client.tuple, bytes } as const;
    expect(world.hears(again)).toEqual([{ do: "ask", username: "alice", again }]);
    known.add("alice");
    expect(codeOf(client.hearsBack(bytes))).toBe(0);
  });

  test("is not asked about before the client has shown that it is where it says", () => {
    const { world, client } = stranger();
    expect(codeOf(client.asksBare("allocate", udp))).toBe(401);
    client.nonce = "made up";
    expect(codeOf(client.hearsBack(client.sign(client.request("allocate", udp))))).toBe(438);
    expect(world.actions.map((action) => action.do)).toEqual(["send"]);
  });

  test("may have an end that is moved on: a Refresh goes by the latest word", () => {
    const { world, client, known } = stranger();
    known.add("alice");
    client.allocates();
    world.passes(50);
    expect(client.asks("refresh", { lifetime: 600 }).attributes.lifetime).toBe(60);
    world.passes(50);
    expect(world.relays.size).toBe(1);
  });
});

describe("credentials that expire", () => {
  function carolFor(seconds: number) {
    const world = new World();
    const client = world.client();
    Object.assign(client, mintCredential(secret, "carol", world.now / 1000 + seconds));
    return { world, client };
  }

  test("open allocations, by any of several secrets", () => {
    const { client } = carolFor(3600);
    client.allocates();
    expect(codeOf(client.asks("refresh"))).toBe(0);
  });

  test("end their allocation with them, and LIFETIME says so", () => {
    const { world, client } = carolFor(700);
    expect(client.asks("allocate", { ...udp, lifetime: 3600 }).attributes.lifetime).toBe(700);
    world.passes(200);
    expect(client.asks("refresh", { lifetime: 3600 }).attributes.lifetime).toBe(500);
    expect(codeOf(client.asks("createPermission", { xorPeerAddress: [peer] }))).toBe(0);
    world.passes(400);
    client.nonce = "";
    client.asks("channelBind", { channelNumber: 0x4000, xorPeerAddress: [peer] });
    expect(world.routes.map(([near]) => near.until)).toEqual([world.now + 100_000, world.now + 100_000]);
    world.passes(100);
    expect(world.relays.size).toBe(0);
    expect(world.routes).toEqual([]);
  });

  test.each(methods)("are not taken for %s any more", (method) => {
    const { world, client } = carolFor(300);
    client.allocates();
    world.now += 299_999;
    expect(codeOf(client.asks("createPermission", { xorPeerAddress: [peer] }))).toBe(0);
    world.now += 1;
    expect(codeOf(client.asks(method, anything))).toBe(401);
  });

  test("may end within the second, while the port is being opened", () => {
    const { world, client } = carolFor(1);
    world.opensAtOnce = false;
    client.fetchNonce();
    client.sends(client.sign(client.request("allocate", udp)));
    world.now += 5000;
    const [answer] = world
      .opens(world.opening[0] ?? 0)
      .flatMap((act) => (act.do === "send" ? [decode(act.bytes)] : []));
    expect(answer?.attributes.lifetime).toBe(0);
    world.passes(1);
    expect(world.relays.size).toBe(0);
  });
});

/** The same message with its last attribute, MESSAGE-INTEGRITY-SHA256, cut to sixteen right bytes. */
function truncateSha256(bytes: Uint8Array, key: Uint8Array): Uint8Array {
  const message = Buffer.from(bytes.subarray(0, bytes.length - 16));
  const at = message.length - 20;
  message.writeUInt16BE(message.length - 20, 2);
  message.writeUInt16BE(16, at + 2);
  createHmac("sha256", key)
    .update(message.subarray(0, at))
    .digest()
    .copy(message, at + 4, 0, 16);
  return message;
}
