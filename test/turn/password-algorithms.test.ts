import { createHmac } from "node:crypto";
import { describe, expect, test } from "vitest";
import { type Attributes, attributeTable } from "../../src/stun/attributes.ts";
import { isIntact } from "../../src/stun/integrity.ts";
import { longTermKey, userhash } from "../../src/stun/keys.ts";
import { decode, type Message } from "../../src/stun/message.ts";
import { usernamesByHash } from "../../src/turn/credentials.ts";
import { type Client, codeOf, peer, realm, users, World, type WorldOptions } from "./world.ts";

const udp = { requestedTransport: 17 };
const md5 = { algorithm: 1, parameters: new Uint8Array() };
const sha256 = { algorithm: 2, parameters: new Uint8Array() };
const offered = [sha256, md5];
/** As it is read, with views of the message for parameters. */
const readOffer = [2, 1].map((algorithm) => ({ algorithm, parameters: Buffer.alloc(0) }));
const cookie = "obMatJos2gAAA";

/** A client that has the server's offer in hand. */
function offeredClient(options: WorldOptions = {}): Client {
  const client = new World(options).client();
  client.fetchNonce();
  return client;
}

type Choice = Pick<Attributes, "passwordAlgorithms" | "passwordAlgorithm" | "userhash" | "username" | "nonce">;

/** An Allocate with this choice, by a key of SHA-256 unless told otherwise. */
function choosing(
  client: Client,
  choice: Choice,
  hash: "md5" | "sha256" = "sha256",
  more: Attributes = {},
): Uint8Array {
  const key = longTermKey(client.username, realm, client.password, hash);
  const request = client.request("allocate", { ...udp, software: "a client", ...more });
  return client.sign(request, { key, algorithm: "sha256" }, choice);
}

describe("the challenge", () => {
  test("offers SHA-256 and MD5, and its nonce says so", () => {
    const answer = new World().client().asksBare("allocate", { ...udp, software: "a client" });
    expect(answer.attributes).toEqual({
      errorCode: { code: 401, reason: "" },
      realm,
      nonce: expect.stringMatching(/^obMatJos2gAAA[A-Za-z0-9_-]{15}$/),
      passwordAlgorithms: readOffer,
    });
  });

  test("is that of RFC 5389 for the smallest requests over UDP, which may come from anybody", () => {
    const answer = new World().client().asksBare("allocate", udp);
    expect(answer.attributes).toEqual({
      errorCode: { code: 401, reason: "" },
      realm,
      nonce: expect.stringMatching(/^[A-Za-z0-9_-]{15}$/),
    });
  });

  test("offers the same to requests of any size over a connection", () => {
    const answer = new World().client("198.51.100.7", { transport: "tcp" }).asksBare("allocate", udp);
    expect(answer.attributes).toMatchObject({ passwordAlgorithms: readOffer, nonce: expect.stringContaining(cookie) });
  });

  test.each([
    ["a wrong password", { username: "alice", password: "wrong" }, 401],
    ["an unknown user", { username: "mallory", password: "" }, 401],
    ["a stale nonce", { nonce: "stale" }, 438],
  ])("offers it again after %s", (_, mistake, code) => {
    const client = Object.assign(offeredClient(), mistake);
    const answer = client.hearsBack(client.sign(client.request("allocate", udp)));
    expect(codeOf(answer)).toBe(code);
    expect(answer.attributes).toMatchObject({
      realm,
      nonce: expect.stringContaining(cookie),
      passwordAlgorithms: readOffer,
    });
  });
});

describe("a client that chooses from the offer", () => {
  test.each([
    ["SHA-256", sha256, "sha256"],
    ["MD5", md5, "md5"],
  ] as const)("has a key made with %s, and answers with MESSAGE-INTEGRITY-SHA256 alone", (_, algorithm, hash) => {
    const client = offeredClient();
    const choice = { passwordAlgorithms: offered, passwordAlgorithm: algorithm };
    const [bytes = new Uint8Array()] = client.sends(choosing(client, choice, hash));
    expect(decode(bytes)).toMatchObject({ class: "success" });
    expect(isIntact(bytes, longTermKey(client.username, realm, client.password, hash), "sha256")).toBe(true);
    expect(decode(bytes)?.types).not.toContain(attributeTable.messageIntegrity.type);
  });

  test.each([
    [sha256, "md5"],
    [md5, "sha256"],
  ] as const)("is held to its choice %j: the key by %s is not its key", (algorithm, hash) => {
    const client = offeredClient();
    const request = choosing(client, { passwordAlgorithms: offered, passwordAlgorithm: algorithm }, hash);
    expect(codeOf(client.hearsBack(request))).toBe(401);
  });

  test("has its refusals protected in the same way", () => {
    const client = offeredClient();
    const choice = { passwordAlgorithms: offered, passwordAlgorithm: sha256 };
    const [bytes = new Uint8Array()] = client.sends(choosing(client, choice, "sha256", { requestedTransport: 6 }));
    expect(decode(bytes)?.attributes.errorCode?.code).toBe(442);
    expect(isIntact(bytes, longTermKey(client.username, realm, client.password, "sha256"), "sha256")).toBe(true);
  });

  test.each<[string, Choice]>([
    ["no list", { passwordAlgorithm: sha256 }],
    ["no choice", { passwordAlgorithms: offered }],
    ["SHA-256 stripped from the list", { passwordAlgorithms: [md5], passwordAlgorithm: md5 }],
    ["an empty list", { passwordAlgorithms: [], passwordAlgorithm: md5 }],
    ["a list in another order", { passwordAlgorithms: [md5, sha256], passwordAlgorithm: md5 }],
    ["a longer list", { passwordAlgorithms: [sha256, md5, md5], passwordAlgorithm: md5 }],
    [
      "parameters in the list",
      { passwordAlgorithms: [sha256, { ...md5, parameters: new Uint8Array(4) }], passwordAlgorithm: sha256 },
    ],
    ["a choice that is not in the list", { passwordAlgorithms: offered, passwordAlgorithm: { ...md5, algorithm: 3 } }],
    [
      "a choice with parameters",
      { passwordAlgorithms: offered, passwordAlgorithm: { ...sha256, parameters: new Uint8Array(4) } },
    ],
  ])("is refused with 400 for %s, whatever its key", (_, choice) => {
    const client = offeredClient();
    for (const hash of ["md5", "sha256"] as const) {
      const answer = client.hearsBack(choosing(client, choice, hash));
      expect(answer.attributes).toEqual({ errorCode: { code: 400, reason: "" } });
    }
  });

  test("is refused with 400 where its choice, or its list, cannot be read", () => {
    const client = offeredClient();
    const list = Buffer.from(choosing(client, { passwordAlgorithms: offered }, "md5"));
    list.writeUInt16BE(7, list.indexOf(Buffer.from("80020008", "hex")) + 2);
    expect(codeOf(client.hearsBack(list)), "PASSWORD-ALGORITHMS of seven bytes").toBe(400);
    const chosen = Buffer.from(choosing(client, { passwordAlgorithm: md5 }, "md5"));
    chosen.writeUInt16BE(3, chosen.indexOf(Buffer.from("001d0004", "hex")) + 2);
    expect(codeOf(client.hearsBack(chosen)), "PASSWORD-ALGORITHM of three bytes").toBe(400);
  });

  test("may have both integrities, of which SHA-256 counts", () => {
    const client = offeredClient();
    const key = longTermKey(client.username, realm, client.password, "sha256");
    const choice = { passwordAlgorithms: offered, passwordAlgorithm: sha256 };
    const draft = client.request("allocate", udp);
    const sha1 = client.sign(draft, { key }, choice);
    expect(codeOf(client.hearsBack(withSha256(sha1, Buffer.from("wrong"))))).toBe(401);
    expect(codeOf(client.hearsBack(withSha256(sha1, key)))).toBe(0);
  });
});

describe("a client of RFC 5389", () => {
  test("ignores the offer, has a key made with MD5, and answers with MESSAGE-INTEGRITY alone", () => {
    const client = offeredClient();
    expect(client.nonce).toContain(cookie);
    const answer = client.asks("allocate", udp);
    expect(answer.class).toBe("success");
    expect(answer.types).not.toContain(attributeTable.messageIntegritySha256.type);
  });

  test("is served as well after the short challenge, for every method", () => {
    const world = new World();
    const client = world.client();
    client.nonce = client.asksBare("allocate", udp).attributes.nonce ?? "";
    expect(client.nonce).toHaveLength(15);
    client.allocates();
    expect(codeOf(client.asks("createPermission", { xorPeerAddress: [peer] }))).toBe(0);
    expect(codeOf(client.asks("channelBind", { channelNumber: 0x4000, xorPeerAddress: [peer] }))).toBe(0);
    expect(codeOf(client.asks("refresh"))).toBe(0);
  });
});

describe("bidding down", () => {
  test("is found out where the nonce's features were changed on the way", () => {
    const client = offeredClient();
    for (const features of ["AAAA", "QAAA", "wAAA"]) {
      const nonce = `obMatJos2${features}${client.nonce.slice(13)}`;
      expect(codeOf(client.hearsBack(client.sign(client.request("allocate", udp), {}, { nonce })))).toBe(438);
    }
    const nonce = client.nonce.slice(13);
    expect(codeOf(client.hearsBack(client.sign(client.request("allocate", udp), {}, { nonce })))).toBe(438);
  });

  test.each([
    ["another attribute", { ...udp, software: "a client" }, {}],
    ["another attribute, and with a FINGERPRINT", { ...udp, lifetime: 600 }, { fingerprint: true }],
  ])(
    "is found out where the first Allocate was made smaller, by the second that has %s",
    (_, attributes, protection) => {
      const client = new World().client();
      const nonce = client.asksBare("allocate", udp).attributes.nonce ?? "";
      const signed = client.sign(client.request("allocate", attributes), protection, { nonce });
      const answer = client.hearsBack(signed);
      expect(answer.attributes).toMatchObject({ errorCode: { code: 438 }, passwordAlgorithms: readOffer });

      client.nonce = answer.attributes.nonce ?? "";
      expect(codeOf(client.asks("allocate", attributes))).toBe(0);
    },
  );

  test("is not what a FINGERPRINT shows, which anybody can add", () => {
    const client = new World().client();
    client.nonce = client.asksBare("allocate", udp).attributes.nonce ?? "";
    expect(codeOf(client.hearsBack(client.sign(client.request("allocate", udp), { fingerprint: true })))).toBe(0);
  });
});

describe("username anonymity", () => {
  const usernameOf = usernamesByHash(users.keys(), realm);
  const hashOf = (name: string) => userhash(name, realm);

  function asksHidden(client: Client, hash: Uint8Array): Message {
    const choice = { passwordAlgorithms: offered, passwordAlgorithm: sha256, userhash: hash, username: undefined };
    return client.hearsBack(choosing(client, choice));
  }

  test("is offered where every name is known", () => {
    const client = offeredClient({ usernameOf });
    expect(client.nonce).toContain("obMatJos2wAAA");
    expect(codeOf(asksHidden(client, hashOf("alice")))).toBe(0);
    expect(client.world.facts).toContainEqual(expect.objectContaining({ fact: "allocation-opened", user: "alice" }));
  });

  test("hides nothing from ourselves: the allocation is the user's, under name or hash", () => {
    const client = offeredClient({ usernameOf });
    asksHidden(client, hashOf("alice"));
    expect(codeOf(client.asks("refresh"))).toBe(0);
    const bob = client.world.client("198.51.100.7", { user: "bob" });
    bob.nonce = client.nonce;
    const key = longTermKey("bob", realm, bob.password);
    const refresh = bob.sign(bob.request("refresh"), { key }, { username: undefined, userhash: hashOf("bob") });
    expect(codeOf(bob.hearsBack(refresh))).toBe(441);
  });

  test.each([
    ["of nobody", hashOf("mallory")],
    ["of another user", hashOf("bob")],
    ["of another realm", userhash("alice", "example.net")],
    ["that is made up", new Uint8Array(32)],
  ])("answers a hash %s with 401", (_, hash) => {
    const client = offeredClient({ usernameOf });
    const answer = asksHidden(client, hash);
    expect(codeOf(answer)).toBe(401);
    expect(answer.types).not.toContain(attributeTable.userhash.type);
  });

  test("does not take an empty password for that of an unknown hash", () => {
    const client = Object.assign(offeredClient({ usernameOf }), { username: "", password: "" });
    expect(codeOf(asksHidden(client, hashOf("mallory")))).toBe(401);
  });

  test("is not offered where names are not known before they come, and hashes are nobody's", () => {
    const client = offeredClient();
    expect(client.nonce).toContain(cookie);
    expect(codeOf(asksHidden(client, hashOf("alice")))).toBe(401);
  });
});

/** The same message with a MESSAGE-INTEGRITY-SHA256 behind its MESSAGE-INTEGRITY. */
function withSha256(bytes: Uint8Array, key: Uint8Array): Uint8Array {
  const message = Buffer.concat([bytes, Buffer.from("001c0020", "hex"), Buffer.alloc(32)]);
  message.writeUInt16BE(message.length - 20, 2);
  createHmac("sha256", key)
    .update(message.subarray(0, bytes.length))
    .digest()
    .copy(message, bytes.length + 4);
  return message;
}
