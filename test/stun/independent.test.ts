// Our codec against another one, which nobody of us wrote: each reads what the other writes, values and seals.
// Its own faults are kept out of the way: it is lenient, so nothing here is malformed; it reads XOR'ed IPv6 addresses
// before it knows the transaction id, so those it only writes; port 0 it refuses.

import fc from "fast-check";
import * as independent from "stun";
import { describe, expect, test } from "vitest";
import type { Endpoint } from "../../src/contract.ts";
import { formatAddress, parseAddress } from "../../src/stun/address.ts";
import { type AttributeKey, type Attributes, attributeTable } from "../../src/stun/attributes.ts";
import { isIntact } from "../../src/stun/integrity.ts";
import { longTermKey } from "../../src/stun/keys.ts";
import { type Draft, decode, encode } from "../../src/stun/message.ts";

/** One kind of value: how to draw one, how to give it to the other codec, and how to read that codec's own. */
interface Kind<Value> {
  readonly arbitrary: fc.Arbitrary<Value>;
  give(value: Value): unknown[];
  take(theirs: unknown): unknown;
}

const bytes = (minLength: number, maxLength = minLength) =>
  fc.uint8Array({ minLength, maxLength }).map((bytes) => Buffer.from(bytes));

const endpointOf = (...lengths: number[]) =>
  fc.record({
    address: fc.oneof(...lengths.map((length) => bytes(length))).map(formatAddress),
    port: fc.integer({ min: 1, max: 65_535 }),
  });

const endpoint: Kind<Endpoint> = {
  arbitrary: endpointOf(4, 16),
  give: ({ address, port }) => [address, port],
  take(theirs) {
    const { address, port } = theirs as Endpoint;
    return { address: formatAddress(parseAddress(address) ?? Buffer.alloc(0)), port };
  },
};

/** Of an attribute that may stand more than once. */
const one = <Value>({ arbitrary, give, take }: Kind<Value>): Kind<readonly Value[]> => ({
  arbitrary: arbitrary.map((value) => [value]),
  give: (values) => values.flatMap(give),
  take: (theirs) => [take(theirs)],
});

const xorEndpoint: Kind<Endpoint> = { ...endpoint, arbitrary: endpointOf(4) };

const text: Kind<string> = {
  arbitrary: fc.string({ unit: "binary", minLength: 1, maxLength: 120 }),
  give: (value) => [value],
  take: (theirs) => (theirs as Buffer).toString(),
};

const opaque = (length: number, most = length): Kind<Buffer> => ({
  arbitrary: bytes(length, most),
  give: (value) => [value],
  take: (theirs) => theirs,
});

/** A number in the upper bits of 32, the rest reserved. */
const upperBits = (bits: number): Kind<number> => ({
  arbitrary: fc.integer({ min: 0, max: 2 ** bits - 1 }),
  give: (value) => [value * 2 ** (32 - bits)],
  take: (theirs) => (theirs as number) / 2 ** (32 - bits),
});

const uint64: Kind<bigint> = {
  arbitrary: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  give: (value) => [Buffer.from(value.toString(16).padStart(16, "0"), "hex")],
  take: (theirs) => (theirs as Buffer).readBigUInt64BE(),
};

const errorCode: Kind<{ code: number; reason: string }> = {
  arbitrary: fc.record({ code: fc.integer({ min: 300, max: 699 }), reason: fc.string({ maxLength: 60 }) }),
  give: ({ code, reason }) => [code, reason],
  take: (theirs) => theirs,
};

const types: Kind<number[]> = {
  arbitrary: fc.uniqueArray(fc.integer({ min: 0, max: 0xffff }), { minLength: 1, maxLength: 9 }),
  give: (value) => [value],
  take: (theirs) => theirs,
};

const passwordAlgorithms: Kind<{ algorithm: number; parameters: Buffer }[]> = {
  arbitrary: fc.array(fc.record({ algorithm: fc.integer({ min: 0, max: 0xffff }), parameters: bytes(0, 9) })),
  give: (value) => [value.map(({ algorithm, parameters }) => ({ algorithm, params: parameters }))],
  take: (theirs) =>
    (theirs as { algorithm: number; params: Buffer }[]).map(({ algorithm, params }) => ({
      algorithm,
      parameters: params,
    })),
};

const kinds = {
  mappedAddress: endpoint,
  xorMappedAddress: xorEndpoint,
  alternateServer: one(endpoint),
  responseOrigin: endpoint,
  otherAddress: endpoint,
  username: text,
  realm: text,
  nonce: text,
  software: text,
  alternateDomain: text,
  data: opaque(1, 300),
  reservationToken: opaque(8),
  userhash: opaque(32),
  padding: opaque(1, 300),
  priority: upperBits(32),
  lifetime: upperBits(32),
  channelNumber: upperBits(16),
  requestedTransport: upperBits(8),
  iceControlled: uint64,
  iceControlling: uint64,
  errorCode,
  unknownAttributes: types,
  passwordAlgorithms,
} as const;

const kindOf = new Map<string, Kind<unknown>>(Object.entries(kinds) as [string, Kind<unknown>][]);

/** Everything, in either direction, is compared as this: the type of each attribute in its order, and its value. */
type Plain = readonly (readonly [type: number, value: unknown])[];

const key = longTermKey("alice", "example.org", "secret");

const drafts: fc.Arbitrary<Draft> = fc.record({
  class: fc.constant("error"),
  method: fc.constant(1),
  transactionId: bytes(12),
  attributes: fc.record(
    Object.fromEntries(Object.entries(kinds).map(([key, { arbitrary }]) => [key, arbitrary as fc.Arbitrary<unknown>])),
    { requiredKeys: [] },
  ) as fc.Arbitrary<Attributes>,
});

const bindingError = 0x0111;
const sealTypes = [0x0008, 0x001c, 0x8028];

function plainOfOurs(attributes: Attributes): Plain {
  return Object.entries(attributes)
    .map(([key, value]) => [attributeTable[key as AttributeKey].type, value] as const)
    .filter(([type]) => !sealTypes.includes(type));
}

function plainOfTheirs(message: independent.IndependentMessage): Plain {
  const keys = new Map(Object.entries(attributeTable).map(([key, { type }]) => [type, key]));
  return [...message]
    .filter(({ type }) => !sealTypes.includes(type))
    .map(({ type, value }) => [type, kindOf.get(keys.get(type) ?? "")?.take(value)] as const);
}

function writeWithTheirs({ transactionId, attributes }: Draft): independent.IndependentMessage {
  const message = independent.createMessage(bindingError, Buffer.from(transactionId));
  for (const [key, value] of Object.entries(attributes)) {
    const given = kindOf.get(key)?.give(value) ?? [];
    message.addAttribute(attributeTable[key as AttributeKey].type, ...given);
  }
  return message;
}

describe("the independent codec", () => {
  test("reads what we write", () => {
    fc.assert(
      fc.property(drafts, (draft) => {
        const theirs = independent.decode(Buffer.from(encode(draft)));
        expect(theirs.type).toBe(bindingError);
        expect(theirs.isLegacy()).toBe(false);
        expect(theirs.transactionId.equals(draft.transactionId)).toBe(true);
        expect(plainOfTheirs(theirs)).toEqual(plainOfOurs(draft.attributes));
      }),
      { numRuns: 200 },
    );
  });

  test("writes what we read, byte for byte as we would", () => {
    fc.assert(
      fc.property(drafts, (draft) => {
        const bytes = independent.encode(writeWithTheirs(draft));
        expect(decode(bytes)).toMatchObject({ class: "error", method: 1, malformed: [], attributes: draft.attributes });
        expect(bytes.equals(encode(draft))).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  test("writes XOR'ed IPv6 addresses as we do", () => {
    fc.assert(
      fc.property(endpointOf(16), bytes(12), (xorMappedAddress, transactionId) => {
        const draft = { class: "error", method: 1, transactionId, attributes: { xorMappedAddress } } as const;
        expect(independent.encode(writeWithTheirs(draft)).equals(encode(draft))).toBe(true);
      }),
    );
  });

  test.each(["sha1", "sha256"] as const)("agrees on integrity by %s and on FINGERPRINT", (algorithm) => {
    const otherKey = Buffer.from("other");
    const validate =
      algorithm === "sha1" ? independent.validateMessageIntegrity : independent.validateMessageIntegritySha256;
    fc.assert(
      fc.property(drafts, (draft) => {
        const ours = Buffer.from(encode(draft, { key, algorithm, fingerprint: true }));
        expect(independent.validateFingerprint(independent.decode(ours))).toBe(true);
        expect(validate(independent.decode(ours), key)).toBe(true);
        expect(validate(independent.decode(ours), otherKey)).toBe(false);

        const message = writeWithTheirs(draft);
        if (algorithm === "sha1") message.addMessageIntegrity(key);
        else message.addMessageIntegritySha256(key);
        message.addFingerprint();
        const theirs = independent.encode(message);
        expect(isIntact(theirs, key, algorithm)).toBe(true);
        expect(isIntact(theirs, otherKey, algorithm)).toBe(false);
        expect(theirs.equals(ours)).toBe(true);
      }),
      { numRuns: 100 },
    );
  });
});
