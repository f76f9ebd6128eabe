// RFC 8489 section 9: the long-term credential mechanism as a client of RFC 5389 sees it, with MD5 and SHA-1.

import { type Bench, restCredential } from "./bench.ts";
import { type Client, describe, expectError, expectSuccess } from "./client.ts";
import { must, notSupported, notTried, type Requirement } from "./requirement.ts";
import * as wire from "./wire.ts";

const { attribute } = wire;
const allocateRequest = wire.method.allocate | wire.messageClass.request;

/** An Allocate with only some of the attributes of authentication, and an integrity made with the right key. */
async function incomplete(client: Client, without: number): Promise<wire.Reading> {
  const { attributes, key } = await client.authentication();
  const kept = attributes.filter(({ type }) => type !== without);
  return client.transact(wire.withIntegrity(wire.message(allocateRequest, [wire.requestedTransport(), ...kept]), key));
}

function mustLack(reply: wire.Reading, ...types: readonly number[]): void {
  for (const [name, type] of Object.entries(attribute)) {
    must(!types.includes(type) || !wire.find(reply, type), `the ${wire.errorCodeOf(reply)} response has ${name}`);
  }
}

function mustHave(reply: wire.Reading, ...types: readonly number[]): void {
  for (const [name, type] of Object.entries(attribute)) {
    must(!types.includes(type) || wire.find(reply, type), `the ${wire.errorCodeOf(reply)} response has no ${name}`);
  }
}

const identity = [attribute.username, attribute.userhash] as const;
const integrity = [attribute.messageIntegrity, attribute.messageIntegritySha256] as const;

const badNonce = Buffer.from("f00ba4f00ba4f00ba4f00ba4f00ba4f0");

/** The answer to an authenticated Allocate of this client with a credential or a nonce that is not right. */
async function refused(client: Client, options: Parameters<Client["signed"]>[2]): Promise<wire.Reading> {
  return client.transact(await client.signed(wire.method.allocate, [wire.requestedTransport()], options));
}

const stranger = { username: "nobody-of-this-name", password: "none" };

function impostor(bench: Bench): { username: string; password: string } {
  return { username: bench.credential.username, password: "surely not the password" };
}

export const challenge: readonly Requirement[] = [
  {
    section: "9.2.4",
    level: "MUST",
    says: "A request without integrity is answered with 401, REALM and NONCE",
    check: async (bench) => {
      const { reply } = await (await bench.client()).askForChallenge();
      return `${describe(reply)}, REALM and NONCE`;
    },
  },
  {
    section: "9.2.4",
    level: "MUST",
    says: "A request without integrity is answered with 401 over TCP too",
    check: async (bench) => {
      const { reply } = await (await bench.client({ transport: "tcp" })).askForChallenge();
      return `${describe(reply)}, REALM and NONCE`;
    },
  },
  {
    section: "9.2.4",
    level: "SHOULD NOT",
    says: "That 401 has no USERNAME, USERHASH or integrity",
    check: async (bench) => {
      const { reply } = await (await bench.client()).askForChallenge();
      mustLack(reply, ...identity, ...integrity);
      return "none of them";
    },
  },
  {
    section: "9.2.4",
    level: "MUST NOT",
    says: "No two source ports are given the same NONCE",
    check: async (bench) => {
      const challenges = [await bench.client(), await bench.client(), await bench.client()].map((client) =>
        client.askForChallenge(),
      );
      const nonces = (await Promise.all(challenges)).map(({ nonce }) => nonce.toString("latin1"));
      must(new Set(nonces).size === nonces.length, `${nonces[0]} came to more than one port`);
      return "three ports, three nonces";
    },
  },
  ...[
    ["USERNAME", attribute.username] as const,
    ["REALM", attribute.realm] as const,
    ["NONCE", attribute.nonce] as const,
  ].map(
    ([name, type]): Requirement => ({
      section: "9.2.4",
      level: "MUST",
      says: `A request with integrity and without ${name} is answered with 400`,
      check: async (bench) => expectError(await incomplete(await bench.client(), type), 400),
    }),
  ),
  {
    section: "9.2.4",
    level: "SHOULD NOT",
    says: "That 400 has no USERNAME, USERHASH, NONCE or REALM, and it cannot have integrity",
    check: async (bench) => {
      const reply = await incomplete(await bench.client(), attribute.username);
      expectError(reply, 400);
      mustLack(reply, ...identity, ...integrity, attribute.nonce, attribute.realm);
      return "none of them";
    },
  },
  {
    section: "9.2.4",
    level: "MUST",
    says: "An unknown username is answered with 401, REALM and NONCE",
    check: async (bench) => {
      const reply = await refused(await bench.client(), { credential: stranger });
      const seen = expectError(reply, 401);
      mustHave(reply, attribute.realm, attribute.nonce);
      return seen;
    },
  },
  {
    section: "9.2.4",
    level: "MUST",
    says: "A wrong password is answered with 401, REALM and NONCE",
    check: async (bench) => {
      const reply = await refused(await bench.client(), { credential: impostor(bench) });
      const seen = expectError(reply, 401);
      mustHave(reply, attribute.realm, attribute.nonce);
      return seen;
    },
  },
  {
    section: "9.2.4",
    level: "SHOULD NOT",
    says: "The 401 to a wrong password has no USERNAME, USERHASH or integrity",
    check: async (bench) => {
      const reply = await refused(await bench.client(), { credential: impostor(bench) });
      expectError(reply, 401);
      mustLack(reply, ...identity, ...integrity);
      return "none of them";
    },
  },
  {
    section: "9.2.4",
    level: "MUST",
    says: "A nonce that is not valid is answered with 438, REALM and NONCE",
    check: async (bench) => {
      const reply = await refused(await bench.client(), { nonce: badNonce });
      const seen = expectError(reply, 438);
      mustHave(reply, attribute.realm, attribute.nonce);
      return seen;
    },
  },
  {
    section: "9.2.4",
    level: "MUST",
    says: "The NONCE of a 438 is valid",
    check: async (bench) => {
      const client = await bench.client();
      const reply = await refused(client, { nonce: badNonce });
      expectError(reply, 438);
      const nonce = wire.find(reply, attribute.nonce)?.value ?? Buffer.alloc(0);
      expectError(await client.ask(wire.method.refresh, [], { nonce }), 437);
      return "a request with it is authenticated";
    },
  },
  {
    section: "9.2.4",
    level: "SHOULD NOT",
    says: "A 438 has no USERNAME or USERHASH",
    check: async (bench) => {
      const reply = await refused(await bench.client(), { nonce: badNonce });
      expectError(reply, 438);
      mustLack(reply, ...identity);
      return "neither";
    },
  },
  {
    section: "9.2.4",
    level: "MUST",
    says: "The integrity is checked before the nonce: a wrong password with a stale nonce is a 401",
    check: async (bench) =>
      expectError(await refused(await bench.client(), { nonce: badNonce, credential: impostor(bench) }), 401),
  },
  {
    section: "9.2.4",
    level: "MUST",
    says: "The username is checked before the nonce: an unknown user with a stale nonce is a 401",
    check: async (bench) =>
      expectError(await refused(await bench.client(), { nonce: badNonce, credential: stranger }), 401),
  },
];

/** The replies to an Allocate that succeeds and to one that fails after authentication. */
async function authenticatedReplies(
  bench: Bench,
): Promise<{ success: wire.Reading; error: wire.Reading; key: Buffer }> {
  const { client, reply } = await bench.allocation();
  const error = await client.allocate();
  expectError(error, 437);
  return { success: reply, error, key: await client.key() };
}

export const integrityOfResponses: readonly Requirement[] = [
  {
    section: "9.2.4",
    level: "MUST",
    says: "A success response to a client without PASSWORD-ALGORITHM has a right MESSAGE-INTEGRITY and no SHA-256 one",
    check: async (bench) => {
      const { success, key } = await authenticatedReplies(bench);
      must(wire.hasIntegrity(success, key), "MESSAGE-INTEGRITY is missing or wrong");
      mustLack(success, attribute.messageIntegritySha256);
      return "20 bytes, right";
    },
  },
  {
    section: "9.2.4",
    level: "MUST",
    says: "An error response after authentication has a right MESSAGE-INTEGRITY",
    check: async (bench) => {
      const { error, key } = await authenticatedReplies(bench);
      must(wire.hasIntegrity(error, key), `MESSAGE-INTEGRITY of the ${describe(error)} is missing or wrong`);
      return `right, in the ${describe(error)}`;
    },
  },
  {
    section: "9.2.4",
    level: "SHOULD NOT",
    says: "An authenticated success response has no REALM, NONCE, USERNAME or USERHASH",
    check: async (bench) => {
      const { success } = await authenticatedReplies(bench);
      mustLack(success, ...identity, attribute.realm, attribute.nonce);
      return "none of them";
    },
  },
  {
    section: "14.5",
    level: "MUST",
    says: "Nothing but MESSAGE-INTEGRITY-SHA256 and FINGERPRINT follows MESSAGE-INTEGRITY in a response",
    check: async (bench) => {
      const { success, error } = await authenticatedReplies(bench);
      for (const { attributes } of [success, error]) {
        const types = attributes.map(({ type }) => type);
        const after = types.slice(types.indexOf(attribute.messageIntegrity) + 1);
        const stray = after.filter(
          (type) => type !== attribute.messageIntegritySha256 && type !== attribute.fingerprint,
        );
        must(stray.length === 0, `0x${stray[0]?.toString(16)} follows it`);
      }
      return "it ends the message";
    },
  },
  {
    section: "14.5",
    level: "MUST",
    says: "MESSAGE-INTEGRITY is right when a FINGERPRINT follows it in the request",
    check: async (bench) => {
      const client = await bench.client();
      const request = wire.withFingerprint(await client.signed(wire.method.refresh, []));
      return expectError(await client.transact(request), 437);
    },
  },
  {
    section: "14.7",
    level: "MUST",
    says: "A wrong FINGERPRINT after a right MESSAGE-INTEGRITY discards the request",
    check: async (bench) => {
      const client = await bench.client();
      const request = wire.withFingerprint(await client.signed(wire.method.refresh, []));
      request[request.length - 1] = (request.at(-1) ?? 0) ^ 1;
      await client.expectSilence(request);
      return "no reply before the next request's";
    },
  },
];

/** Has a Refresh of an allocation that lives, with `attributes` after its MESSAGE-INTEGRITY, and the lifetime it got. */
async function refreshedWith(bench: Bench, ...attributes: readonly wire.Attribute[]): Promise<number> {
  const { client } = await bench.allocation();
  const reply = await client.transact(wire.append(await client.signed(wire.method.refresh, []), ...attributes));
  expectSuccess(reply);
  return wire.find(reply, attribute.lifetime)?.value.readUInt32BE(0) ?? notSupported("no LIFETIME in the answer");
}

export const coverage: readonly Requirement[] = [
  {
    section: "9",
    level: "MUST",
    says: "An attribute after MESSAGE-INTEGRITY is ignored: LIFETIME 0 there deletes nothing",
    check: async (bench) => {
      const seconds = await refreshedWith(bench, wire.lifetime(0));
      must(seconds > 0, "the allocation was deleted");
      return `LIFETIME ${seconds}`;
    },
  },
  {
    section: "9",
    level: "MUST",
    says: "An unknown comprehension-required attribute after MESSAGE-INTEGRITY is ignored",
    check: async (bench) => `LIFETIME ${await refreshedWith(bench, wire.attributeOf(0x7ffe))}`,
  },
  {
    section: "9",
    level: "MUST",
    says: "A peer address after MESSAGE-INTEGRITY is ignored: the request is one without a peer address",
    check: async (bench) => {
      const { client } = await bench.allocation();
      const peer = await bench.peer();
      const request = await client.signed(wire.method.createPermission, []);
      return expectError(await client.transact(wire.append(request, wire.xorPeerAddress(peer.at))), 400);
    },
  },
  {
    section: "14",
    level: "MUST",
    says: "Padding is ignored: a request whose padding bytes are not zero is a good request",
    check: async (bench) => {
      const client = await bench.client();
      const software = { ...wire.attributeOf(attribute.software, "odd"), padWith: 0xff };
      const { attributes, key } = await client.authentication();
      const ragged = attributes.map((each) => ({ ...each, padWith: 0xff }));
      const request = wire.message(wire.method.refresh | wire.messageClass.request, [software, ...ragged]);
      return expectError(await client.transact(wire.withIntegrity(request, key)), 437);
    },
  },
  {
    section: "14",
    level: "MUST",
    says: "Of an attribute that occurs twice the first counts: LIFETIME 600 then LIFETIME 0 deletes nothing",
    check: async (bench) => {
      const { client } = await bench.allocation();
      const reply = await client.transact(
        await client.signed(wire.method.refresh, [wire.lifetime(600), wire.lifetime(0)]),
      );
      expectSuccess(reply);
      const seconds = wire.find(reply, attribute.lifetime)?.value.readUInt32BE(0) ?? 0;
      must(seconds > 0, "the second was taken");
      return `LIFETIME ${seconds}`;
    },
  },
  {
    section: "14.3",
    level: "MUST",
    says: "A USERNAME of 763 bytes is parsed: it is an unknown user, not a bad message",
    check: async (bench) => {
      const credential = { username: "u".repeat(763), password: "none" };
      return expectError(await refused(await bench.client(), { credential }), 401);
    },
  },
  {
    section: "14.3",
    level: "MUST",
    says: "A USERNAME of UTF-8 beyond ASCII is a username",
    check: (bench) => accepted(bench, "жозé-文件"),
  },
  {
    section: "14.3",
    level: "MUST",
    says: "A USERNAME of 508 bytes is a username",
    check: (bench) => accepted(bench, "u".repeat(508 - "1234567890:".length)),
  },
];

/** Passes when a user of that name, who has a credential by the shared secret, is authenticated. */
async function accepted(bench: Bench, name: string): Promise<string> {
  const secret = bench.subject.secret ?? notTried("needs --secret");
  const credential = restCredential(secret, `${Math.floor(Date.now() / 1000) + 600}:${name}`);
  return expectError(await (await bench.client()).ask(wire.method.refresh, [], { credential }), 437);
}
