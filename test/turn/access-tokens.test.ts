import { createCipheriv } from "node:crypto";
import { describe, expect, test } from "vitest";
import { openAccessToken, type TokenAlgorithm, tokenCiphers } from "../../src/stun/access-token.ts";
import type { Attributes } from "../../src/stun/attributes.ts";
import { isIntact } from "../../src/stun/integrity.ts";
import { decode, encode, type Message } from "../../src/stun/message.ts";
import type { AccessTokensOptions } from "../../src/turn/access-tokens.ts";
import { type Client, codeOf, peer, realm, World, type WorldOptions } from "./world.ts";

const udp = { requestedTransport: 17 };
const serverName = "relay.example.org";
const always = { from: 0, until: Number.POSITIVE_INFINITY };
const north = { kid: "north", key: Buffer.alloc(32, 1), algorithm: "A256GCM", ...always } as const;
const south = { kid: "south", key: Buffer.alloc(16, 2), algorithm: "A128GCM", ...always } as const;
const accessTokens: AccessTokensOptions = { serverName, keys: [north, south] };
const sessionKey = Buffer.alloc(20, 7);

interface Wishes {
  readonly with?: { readonly key: Uint8Array; readonly algorithm: TokenAlgorithm };
  readonly name?: string;
  readonly sessionKey?: Uint8Array;
  readonly madeAt?: number;
  readonly lifetimeSeconds?: number;
  /** In place of the block that the others make. */
  readonly block?: Uint8Array;
  readonly nonce?: Uint8Array;
}

/** What an authorization server would give out at the time of a new world. */
function token(wishes: Wishes = {}): Buffer {
  const { with: { key, algorithm } = north, name = serverName, nonce = Buffer.alloc(12, 3) } = wishes;
  const sealing = createCipheriv(tokenCiphers[algorithm].cipher, key, nonce, { authTagLength: 16 });
  sealing.setAAD(Buffer.from(name));
  const nonceLength = Buffer.alloc(2);
  nonceLength.writeUInt16BE(nonce.length);
  const sealed = sealing.update(wishes.block ?? block(wishes));
  return Buffer.concat([nonceLength, nonce, sealed, sealing.final(), sealing.getAuthTag()]);
}

function block({ sessionKey: key = sessionKey, madeAt = new World().now, lifetimeSeconds = 900 }: Wishes): Buffer {
  const [keyLength, end] = [Buffer.alloc(2), Buffer.alloc(12)];
  keyLength.writeUInt16BE(key.length);
  end.writeUIntBE(Math.floor(madeAt / 1000), 0, 6);
  end.writeUInt16BE((madeAt % 1000) * 64, 6);
  end.writeUInt32BE(lifetimeSeconds, 8);
  return Buffer.concat([keyLength, key, end]);
}

function worldOf(options: WorldOptions = {}): World {
  return new World({ accessTokens, ...options });
}

/** Asks with these bytes for its key, and checks the integrity of what was granted. */
function asks(
  client: Client,
  method: "allocate" | "refresh" | "createPermission" | "channelBind",
  attributes: Attributes,
  { kid = "north", key = sessionKey }: { kid?: string; key?: Uint8Array } = {},
): Message {
  if (!client.nonce) client.fetchNonce();
  const [answer = new Uint8Array()] = client.sends(
    encode(
      { ...client.request(method), attributes: { ...attributes, username: kid, realm, nonce: client.nonce } },
      { key },
    ),
  );
  const message = decode(answer);
  if (!message) throw new Error("no answer");
  if (![401, 438].includes(codeOf(message))) expect(isIntact(answer, key)).toBe(true);
  return message;
}

function codeOfAllocate(world: World, accessToken: Uint8Array, key?: Uint8Array, kid?: string): number {
  const names = { ...(key && { key }), ...(kid !== undefined && { kid }) };
  return codeOf(asks(world.client(), "allocate", { ...udp, accessToken }, names));
}

describe("a challenge", () => {
  test("names the server that tokens are for, only where there are keys for tokens", () => {
    const large = { requestedTransport: 17, software: "a client with a name of some length" };
    const offer = worldOf().client().asksBare("allocate", large).attributes;
    expect(offer).toMatchObject({ thirdPartyAuthorization: serverName, passwordAlgorithms: expect.anything() });
    expect(new World().client().asksBare("allocate", large).attributes.thirdPartyAuthorization).toBeUndefined();
    const onTcp = worldOf().client("198.51.100.7", { transport: "tcp" });
    expect(onTcp.asksBare("allocate", udp).attributes.thirdPartyAuthorization).toBe(serverName);
  });

  test("over UDP grows by the name only as far as it may", () => {
    for (let length = 0; length < 100; length++) {
      const client = worldOf().client();
      const bytes = encode(client.request("allocate", { ...udp, ...(length > 0 && { software: "x".repeat(length) }) }));
      const [answer = new Uint8Array()] = client.sends(bytes);
      expect(answer.length).toBeLessThanOrEqual(bytes.length * 2.5);
      if (length > 20) expect(decode(answer)?.attributes.thirdPartyAuthorization).toBe(serverName);
    }
  });
});

describe("a client with a token", () => {
  test("is let in, under any key of ours, and its answers are protected by the session key", () => {
    expect(codeOfAllocate(worldOf(), token())).toBe(0);
    expect(codeOfAllocate(worldOf(), token({ with: south }), sessionKey, "south")).toBe(0);
    const long = Buffer.alloc(64, 9);
    expect(codeOfAllocate(worldOf(), token({ sessionKey: long }), long)).toBe(0);
  });

  test("is let in as coturn's client signs, with the first 16 bytes of the session key", () => {
    const client = worldOf().client();
    const key = sessionKey.subarray(0, 16);
    expect(codeOf(asks(client, "allocate", { ...udp, accessToken: token() }, { key }))).toBe(0);
    expect(codeOf(asks(client, "createPermission", { xorPeerAddress: [peer] }, { key }))).toBe(0);
  });

  test("need not show it again for its allocation, but may, also another one under another key", () => {
    const client = worldOf().client();
    asks(client, "allocate", { ...udp, accessToken: token() });
    expect(codeOf(asks(client, "createPermission", { xorPeerAddress: [peer] }))).toBe(0);
    expect(codeOf(asks(client, "channelBind", { channelNumber: 0x4001, xorPeerAddress: [peer] }))).toBe(0);
    const [key, kid] = [Buffer.alloc(20, 8), "south"];
    const accessToken = token({ with: south, sessionKey: key });
    expect(codeOf(asks(client, "refresh", { accessToken }, { key, kid }))).toBe(0);
    expect(codeOf(asks(client, "createPermission", { xorPeerAddress: [peer] }, { key, kid }))).toBe(0);
    expect(codeOf(asks(client, "createPermission", { xorPeerAddress: [peer] })), "with the former key").toBe(401);
  });

  test("is nobody elsewhere without it", () => {
    const world = worldOf();
    asks(world.client(), "allocate", { ...udp, accessToken: token() });
    expect(codeOf(asks(world.client("203.0.113.9"), "allocate", udp))).toBe(401);
  });

  test("has its allocation no longer than the token is good for, five seconds of leeway included", () => {
    const world = worldOf();
    const client = world.client();
    const accessToken = token({ lifetimeSeconds: 300 });
    expect(asks(client, "allocate", { ...udp, accessToken, lifetime: 3600 }).attributes.lifetime).toBe(305);
    world.passes(200);
    expect(asks(client, "refresh", { lifetime: 3600 }).attributes.lifetime).toBe(105);
    const renewed = token({ madeAt: world.now, lifetimeSeconds: 1000 });
    expect(asks(client, "refresh", { accessToken: renewed, lifetime: 3600 }).attributes.lifetime).toBe(1005);
    world.passes(1004);
    expect(world.relays.size).toBe(1);
    client.nonce = "";
    world.passes(1);
    expect(world.relays.size).toBe(0);
    expect(codeOf(asks(client, "refresh", {}))).toBe(401);
  });

  test("may use it again while it is good, as RFC 7635 has it", () => {
    const world = worldOf();
    expect(codeOfAllocate(world, token())).toBe(0);
    expect(codeOf(asks(world.client("203.0.113.9"), "allocate", { ...udp, accessToken: token() }))).toBe(0);
  });

  test("counts against the quota of its session, and against nobody else's", () => {
    const world = worldOf({ limits: { allocationsPerUser: 1 } });
    const allocate = (port: number, key: Buffer) => {
      const accessToken = token({ sessionKey: key });
      return codeOf(asks(world.client("198.51.100.7", { port }), "allocate", { ...udp, accessToken }, { key }));
    };
    expect(allocate(5000, sessionKey)).toBe(0);
    expect(allocate(5001, sessionKey)).toBe(486);
    expect(allocate(5002, Buffer.alloc(20, 8))).toBe(0);
    const users = world.facts.flatMap((fact) => (fact.fact === "allocation-opened" ? [fact.user] : []));
    expect(new Set(users).size).toBe(2);
    for (const user of users) {
      expect(user).toMatch(/^north:[0-9a-f]{16}$/);
      expect(user).not.toContain(sessionKey.toString("hex").slice(0, 16));
    }
  });

  test("cannot touch the allocation of somebody with a password, nor the other way round", () => {
    const world = worldOf();
    const alice = world.client();
    alice.allocates();
    expect(codeOf(asks(alice, "refresh", { accessToken: token() }))).toBe(441);
    const other = world.client("203.0.113.9");
    asks(other, "allocate", { ...udp, accessToken: token() });
    expect(codeOf(other.asks("refresh"))).toBe(441);
  });

  test("is told of an old nonce with 438, and not before it has shown who it is", () => {
    const client = worldOf({ nonceLifetimeSeconds: 10 }).client();
    client.fetchNonce();
    client.world.passes(20);
    expect(codeOf(asks(client, "allocate", { ...udp, accessToken: token() }))).toBe(438);
    expect(codeOf(asks(client, "allocate", { ...udp, accessToken: token({ name: "other" }) }))).toBe(401);
  });
});

describe("a token is refused with 401", () => {
  const wrong: [string, () => number][] = [
    ["for another server", () => codeOfAllocate(worldOf(), token({ name: "other.example.org" }))],
    ["under a key that we do not know", () => codeOfAllocate(worldOf(), token(), sessionKey, "west")],
    ["under another key of ours than it says", () => codeOfAllocate(worldOf(), token(), sessionKey, "south")],
    ["sealed by somebody else", () => codeOfAllocate(worldOf(), token({ with: { ...north, key: Buffer.alloc(32) } }))],
    ["without its session key", () => codeOfAllocate(worldOf(), token(), Buffer.alloc(20, 8))],
    ["where there are no keys", () => codeOfAllocate(new World(), token())],
    [
      "before its key may be used",
      () => codeOfAllocate(worldOf({ accessTokens: { serverName, keys: [{ ...north, from: 2e12 }] } }), token()),
    ],
    [
      "after its key may be used",
      () => codeOfAllocate(worldOf({ accessTokens: { serverName, keys: [{ ...north, until: 1e12 }] } }), token()),
    ],
  ];
  test.each(wrong)("%s", (_, code) => {
    expect(code()).toBe(401);
  });

  test.each([
    [-905, 401],
    [-904, 0],
    [904, 0],
    [905, 401],
  ])("made %d seconds from now for 900: %d", (seconds, code) => {
    const world = worldOf();
    expect(codeOfAllocate(world, token({ madeAt: world.now + seconds * 1000 }))).toBe(code);
  });

  test("with any bit of it turned, cut anywhere, or longer", () => {
    const good = token();
    const client = worldOf().client();
    const turned = Array.from({ length: good.length * 8 }, (_, bit) => {
      return Uint8Array.from(good, (byte, i) => (i === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));
    });
    const cut = Array.from({ length: good.length }, (_, length) => good.subarray(0, length));
    for (const accessToken of [...turned, ...cut, Buffer.concat([good, Buffer.alloc(1)])]) {
      expect(codeOf(asks(client, "allocate", { ...udp, accessToken }))).toBe(401);
    }
    expect(codeOf(asks(client, "allocate", { ...udp, accessToken: good }))).toBe(0);
  });

  test("whatever the length of the nonce, and whatever it says to be, if it is not 12", () => {
    const sealedWith = { ...north, serverName };
    for (let length = 0; length <= 0xffff; length += length < 64 ? 1 : 97) {
      const claimed = token();
      claimed.writeUInt16BE(length);
      expect(openAccessToken(claimed, sealedWith) === undefined, `said to be ${length}`).toBe(length !== 12);
      if (length === 0 || length > 128) continue;
      const really = openAccessToken(token({ nonce: Buffer.alloc(length, 3) }), sealedWith);
      expect(really === undefined, `really ${length}`).toBe(length !== 12);
    }
  });

  test("sealed well, with a session key that is too short or too long, or of another length than it says", () => {
    const sealedWith = { ...north, serverName };
    for (let length = 0; length <= 0xffff; length += length < 100 ? 1 : 97) {
      const opened = openAccessToken(token({ sessionKey: Buffer.alloc(length, 7) }), sealedWith);
      expect(opened?.key.length, `really ${length}`).toBe(length >= 20 && length <= 64 ? length : undefined);
      const said = block({});
      said.writeUInt16BE(length);
      const isSaid = openAccessToken(token({ block: said }), sealedWith) !== undefined;
      expect(isSaid, `said to be ${length}`).toBe(length === 20);
    }
    for (let length = 0; length < block({}).length; length++) {
      expect(openAccessToken(token({ block: block({}).subarray(0, length) }), sealedWith)).toBeUndefined();
    }
    const longer = Buffer.concat([block({}), Buffer.alloc(1)]);
    expect(openAccessToken(token({ block: longer }), sealedWith)).toBeUndefined();
  });
});

test("ACCESS-TOKEN is unknown where there are no keys for tokens", () => {
  const answer = new World().client().asks("allocate", { ...udp, accessToken: token() });
  expect(codeOf(answer)).toBe(420);
  expect(answer.attributes.unknownAttributes).toEqual([0x001b]);
});
