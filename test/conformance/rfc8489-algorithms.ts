// RFC 8489 sections 9.2 and 14.4 to 14.12, what is new since RFC 5389: the nonce cookie, password algorithms,
// MESSAGE-INTEGRITY-SHA256, USERHASH, and the protection against bidding down.

import { createHash } from "node:crypto";
import type { Bench } from "./bench.ts";
import { describe, expectError, expectSuccess } from "./client.ts";
import {
  answer,
  type Choice,
  chosen,
  features,
  featuresOf,
  firstOf,
  md5,
  type Offer,
  offer,
  passwordAlgorithmsBit,
  sha256,
  usernameAnonymityBit,
} from "./password-algorithms.ts";
import { must, notSupported, type Requirement } from "./requirement.ts";
import * as wire from "./wire.ts";

const { attribute } = wire;

/** Passes when the request is authenticated (there is no allocation to refresh) and its answer has the SHA-256 integrity. */
async function expectAuthentic(terms: Offer, choice: Choice): Promise<string> {
  const { key } = await chosen(terms, choice);
  const reply = await answer(terms, choice);
  expectError(reply, 437);
  must(wire.hasIntegrity(reply, key, "sha256"), "MESSAGE-INTEGRITY-SHA256 of the answer is missing or wrong");
  must(!wire.find(reply, attribute.messageIntegrity), "the answer has MESSAGE-INTEGRITY beside it");
  return `${describe(reply)}, protected by SHA-256`;
}

function offers(terms: Offer, algorithm: number): void {
  if (!terms.algorithms.includes(algorithm)) notSupported(`algorithm ${algorithm} is not in the list`);
}

export const nonceCookie: readonly Requirement[] = [
  {
    section: "9.2",
    level: "MUST",
    says: 'NONCE begins with "obMatJos2" and four characters of base64',
    check: async (bench) => {
      const { bits } = await features(await bench.client());
      return `features 0x${bits.toString("hex")}`;
    },
  },
  {
    section: "18.1",
    level: "MUST",
    says: "The feature bits that no RFC has defined are zero",
    check: async (bench) => {
      const { bits } = await features(await bench.client());
      const isDefined = ((bits[0] ?? 0) & 0x3f) === 0 && bits[1] === 0 && bits[2] === 0;
      must(isDefined, `features 0x${bits.toString("hex")}`);
      return `features 0x${bits.toString("hex")}`;
    },
  },
  {
    section: "9.2.4",
    level: "MUST",
    says: 'The "Password algorithms" bit is set when, and only when, PASSWORD-ALGORITHMS is there',
    check: async (bench) => {
      const { challenge, bits } = await features(await bench.client());
      const isSet = ((bits[0] ?? 0) & passwordAlgorithmsBit) !== 0;
      const isThere = wire.find(challenge.reply, attribute.passwordAlgorithms) !== undefined;
      must(isSet === isThere, `bit ${isSet ? "set" : "clear"}, list ${isThere ? "there" : "missing"}`);
      return isSet ? "both" : "neither";
    },
  },
  {
    section: "16.1.3",
    level: "MUST",
    says: "A nonce whose feature bits were cleared on the way is not valid",
    check: async (bench) => {
      const terms = await offer(bench);
      const stripped = Buffer.from(terms.challenge.nonce);
      stripped.write("AAAA", 9, "latin1");
      const { bytes, key } = await chosen(terms, { nonce: stripped });
      return expectError(await terms.client.transact(wire.withIntegrity(bytes, key)), 438);
    },
  },
];

export const passwordAlgorithms: readonly Requirement[] = [
  {
    section: "14.11",
    level: "MUST",
    says: "PASSWORD-ALGORITHMS is a list of numbers and padded parameters",
    check: async (bench) => `algorithms ${(await offer(bench)).algorithms.join(", ")}`,
  },
  {
    section: "9.2.4",
    level: "MUST",
    says: "SHA-256 chosen from the list is accepted, and the answer has MESSAGE-INTEGRITY-SHA256 alone",
    check: async (bench) => {
      const terms = await offer(bench);
      offers(terms, sha256);
      return expectAuthentic(terms, { algorithm: sha256, list: terms.list });
    },
  },
  {
    section: "9.2.4",
    level: "MUST",
    says: "MD5 chosen from the list is accepted, and the answer has MESSAGE-INTEGRITY-SHA256 alone",
    check: async (bench) => {
      const terms = await offer(bench);
      offers(terms, md5);
      return expectAuthentic(terms, { algorithm: md5, list: terms.list });
    },
  },
  {
    section: "9.2.4",
    level: "MUST",
    says: "Without PASSWORD-ALGORITHM and PASSWORD-ALGORITHMS the key is made with MD5",
    check: async (bench) => {
      const terms = await offer(bench);
      const { bytes, key } = await chosen(terms, {});
      const reply = await terms.client.transact(wire.withIntegrity(bytes, key));
      const seen = expectError(reply, 437);
      must(wire.hasIntegrity(reply, key), "MESSAGE-INTEGRITY of the answer is missing or wrong");
      return seen;
    },
  },
  {
    section: "9.2.4",
    level: "MUST",
    says: "A list that is not the one the server sent is answered with 400",
    check: async (bench) => {
      const terms = await offer(bench);
      const onlyMd5 = Buffer.of(0, md5, 0, 0);
      const list = onlyMd5.equals(terms.list) ? Buffer.of(0, sha256, 0, 0) : onlyMd5;
      return expectError(await answer(terms, { algorithm: list[1] ?? md5, list }), 400);
    },
  },
  {
    section: "9.2.4",
    level: "MUST",
    says: "PASSWORD-ALGORITHM without the list is answered with 400",
    check: async (bench) => {
      const terms = await offer(bench);
      return expectError(await answer(terms, { algorithm: terms.algorithms[0] ?? md5 }), 400);
    },
  },
  {
    section: "9.2.4",
    level: "MUST",
    says: "The list without PASSWORD-ALGORITHM is answered with 400",
    check: async (bench) => {
      const terms = await offer(bench);
      return expectError(await answer(terms, { list: terms.list }), 400);
    },
  },
  {
    section: "9.2.4",
    level: "MUST",
    says: "A PASSWORD-ALGORITHM that is not in the list is answered with 400",
    check: async (bench) => {
      const terms = await offer(bench);
      return expectError(await answer(terms, { algorithm: 77, list: terms.list }), 400);
    },
  },
  {
    section: "9.2.4",
    level: "MUST",
    says: "The 401 to an unknown username has PASSWORD-ALGORITHMS",
    check: async (bench) => {
      const { client } = await offer(bench);
      const credential = { username: "nobody-of-this-name", password: "none" };
      const reply = await client.transact(await client.signed(wire.method.refresh, [], { credential }));
      expectError(reply, 401);
      must(wire.find(reply, attribute.passwordAlgorithms), "it has not");
      return "there";
    },
  },
  {
    section: "9.2.4",
    level: "MUST",
    says: "A 438 has PASSWORD-ALGORITHMS",
    check: async (bench) => {
      const { client } = await offer(bench);
      const reply = await client.transact(
        await client.signed(wire.method.refresh, [], { nonce: Buffer.from("an old nonce") }),
      );
      expectError(reply, 438);
      must(wire.find(reply, attribute.passwordAlgorithms), "it has not");
      return "there";
    },
  },
];

export const sha256Integrity: readonly Requirement[] = [
  {
    section: "14.6",
    level: "MUST",
    says: "A wrong MESSAGE-INTEGRITY-SHA256 is answered with 401, though a right MESSAGE-INTEGRITY stands before it",
    check: async (bench) => {
      const terms = await offer(bench);
      const { bytes, key } = await chosen(terms, firstOf(terms));
      const wrong = wire.withIntegrity(wire.withIntegrity(bytes, key), Buffer.from("wrong"), "sha256");
      return expectError(await terms.client.transact(wrong), 401);
    },
  },
  {
    section: "14.6",
    level: "MUST",
    says: "A MESSAGE-INTEGRITY-SHA256 cut short is refused, as TURN does not allow truncation",
    check: async (bench) => {
      const terms = await offer(bench);
      const { bytes, key } = await chosen(terms, firstOf(terms));
      return expectError(await terms.client.transact(wire.withIntegrity(bytes, key, "sha256", 16)), 400, 401);
    },
  },
  {
    section: "14.6",
    level: "MUST",
    says: "MESSAGE-INTEGRITY-SHA256 is right when a FINGERPRINT follows it in the request",
    check: async (bench) => {
      const terms = await offer(bench);
      const { bytes, key } = await chosen(terms, firstOf(terms));
      const request = wire.withFingerprint(wire.withIntegrity(bytes, key, "sha256"));
      return expectError(await terms.client.transact(request), 437);
    },
  },
  {
    section: "9",
    level: "MUST",
    says: "What follows MESSAGE-INTEGRITY-SHA256 is ignored",
    check: async (bench) => {
      const terms = await offer(bench);
      const { bytes, key } = await chosen(terms, firstOf(terms));
      const request = wire.append(wire.withIntegrity(bytes, key, "sha256"), wire.attributeOf(0x7ffe));
      return expectError(await terms.client.transact(request), 437);
    },
  },
];

const unknownHash = Buffer.alloc(32, 7);

async function anonymousOffer(bench: Bench): Promise<Offer> {
  const terms = await offer(bench);
  const [first = 0] = featuresOf(terms.challenge.nonce) ?? [];
  if ((first & usernameAnonymityBit) === 0) notSupported("username anonymity is not offered");
  return terms;
}

export const userhash: readonly Requirement[] = [
  {
    section: "14.4",
    level: "MUST",
    says: "USERHASH, SHA-256 of username and realm, stands for USERNAME",
    check: async (bench) => {
      const terms = await anonymousOffer(bench);
      const hashed = `${terms.client.credential.username}:${terms.challenge.realm}`;
      const hash = createHash("sha256").update(hashed).digest();
      return expectAuthentic(terms, { ...firstOf(terms), userhash: hash });
    },
  },
  {
    section: "9.2.4",
    level: "MUST",
    says: "An unknown USERHASH is answered with 401",
    check: async (bench) => {
      const terms = await anonymousOffer(bench);
      return expectError(await answer(terms, { ...firstOf(terms), userhash: unknownHash }), 401);
    },
  },
  {
    section: "9.2.4",
    level: "SHOULD NOT",
    says: "The 401 to an unknown USERHASH has neither USERNAME nor USERHASH",
    check: async (bench) => {
      const terms = await anonymousOffer(bench);
      const reply = await answer(terms, { ...firstOf(terms), userhash: unknownHash });
      expectError(reply, 401);
      must(!wire.find(reply, attribute.username) && !wire.find(reply, attribute.userhash), "it has");
      return "neither";
    },
  },
];

export const bareSha256: readonly Requirement[] = [
  {
    section: "9.2.4",
    level: "MUST",
    says: "MESSAGE-INTEGRITY-SHA256 under the MD5 key, without PASSWORD-ALGORITHM, is answered with MESSAGE-INTEGRITY",
    check: async (bench) => {
      const terms = await offer(bench);
      const { bytes, key } = await chosen(terms, {});
      const reply = await terms.client.transact(wire.withIntegrity(bytes, key, "sha256"));
      const seen = expectError(reply, 437);
      must(wire.hasIntegrity(reply, key), "MESSAGE-INTEGRITY of the answer is missing or wrong");
      return seen;
    },
  },
];

export const allocationWithSha256: readonly Requirement[] = [
  {
    section: "9.2.4",
    level: "MUST",
    says: "A whole allocation under SHA-256: Allocate, then Refresh to zero with the same choice",
    check: async (bench) => {
      const terms = await offer(bench);
      offers(terms, sha256);
      const { client, challenge, list } = terms;
      const { username, password } = client.credential;
      const key = wire.longTermKey(username, challenge.realm, password, "sha256");
      const ask = (method: number, ...attributes: readonly wire.Attribute[]) =>
        client.transact(
          wire.withIntegrity(
            wire.message(method | wire.messageClass.request, [
              ...attributes,
              wire.attributeOf(attribute.username, username),
              wire.attributeOf(attribute.realm, challenge.realm),
              wire.attributeOf(attribute.nonce, challenge.nonce),
              wire.attributeOf(attribute.passwordAlgorithms, list),
              wire.attributeOf(attribute.passwordAlgorithm, Buffer.of(0, sha256, 0, 0)),
            ]),
            key,
            "sha256",
          ),
        );
      expectSuccess(await ask(wire.method.allocate, wire.requestedTransport()));
      const reply = await ask(wire.method.refresh, wire.lifetime(0));
      must(wire.hasIntegrity(reply, key, "sha256"), "MESSAGE-INTEGRITY-SHA256 of the answer is missing or wrong");
      return expectSuccess(reply);
    },
  },
];
