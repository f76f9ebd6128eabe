// What encode writes, decode reads back: every attribute of the table, in any company, with any protection.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Endpoint } from "../../src/contract.ts";
import { formatAddress } from "../../src/stun/address.ts";
import { type AttributeKey, type Attributes, attributeTable } from "../../src/stun/attributes.ts";
import { isIntact } from "../../src/stun/integrity.ts";
import { type Draft, decode, encode } from "../../src/stun/message.ts";

type Seal = "messageIntegrity" | "messageIntegritySha256" | "fingerprint";
type Arbitraries = { readonly [Key in Exclude<AttributeKey, Seal>]: fc.Arbitrary<NonNullable<Attributes[Key]>> };

const bytesOf = (minLength: number, maxLength = minLength) =>
  fc.uint8Array({ minLength, maxLength }).map((bytes) => Buffer.from(bytes));
const opaque = bytesOf(0, 300);
const text = fc.string({ unit: "binary", maxLength: 150 });
const uint8 = fc.integer({ min: 0, max: 0xff });
const uint16 = fc.integer({ min: 0, max: 0xffff });
const uint32 = fc.integer({ min: 0, max: 0xffffffff });
const uint64 = fc.bigInt({ min: 0n, max: 0xffffffffffffffffn });
const flag = fc.constant(true as const);
const family = fc.constantFrom(4 as const, 6 as const);
const endpoint: fc.Arbitrary<Endpoint> = fc.record({
  address: fc.oneof(bytesOf(4), bytesOf(16)).map(formatAddress),
  port: uint16,
});
const endpoints = fc.array(endpoint, { minLength: 1, maxLength: 5 });
const code = fc.integer({ min: 300, max: 699 });
const passwordAlgorithm = fc.record({ algorithm: uint16, parameters: bytesOf(0, 9) });

const arbitraries: Arbitraries = {
  mappedAddress: endpoint,
  responseAddress: endpoint,
  changeRequest: fc.record({ changesAddress: fc.boolean(), changesPort: fc.boolean() }),
  sourceAddress: endpoint,
  changedAddress: endpoint,
  username: text,
  password: text,
  errorCode: fc.record({ code, reason: text }),
  unknownAttributes: fc.array(uint16),
  reflectedFrom: endpoint,
  channelNumber: uint16,
  lifetime: uint32,
  bandwidth: uint32,
  xorPeerAddress: endpoints,
  data: opaque,
  realm: text,
  nonce: text,
  xorRelayedAddress: endpoints,
  requestedAddressFamily: family,
  evenPort: fc.record({ reservesNext: fc.boolean() }),
  requestedTransport: uint8,
  dontFragment: flag,
  accessToken: opaque,
  passwordAlgorithm,
  userhash: bytesOf(32),
  xorMappedAddress: endpoint,
  timerVal: uint32,
  reservationToken: bytesOf(8),
  priority: uint32,
  useCandidate: flag,
  padding: opaque,
  responsePort: uint16,
  connectionId: uint32,
  additionalAddressFamily: family,
  addressErrorCode: fc.record({ family, code, reason: text }),
  passwordAlgorithms: fc.array(passwordAlgorithm),
  alternateDomain: text,
  icmp: fc.record({ type: uint8, code: uint8, data: uint32 }),
  software: text,
  alternateServer: endpoints,
  transactionTransmitCounter: fc.record({ requests: uint8, responses: uint8 }),
  cacheTimeout: uint32,
  iceControlled: uint64,
  iceControlling: uint64,
  responseOrigin: endpoint,
  otherAddress: endpoint,
  ecnCheckStun: uint32,
  thirdPartyAuthorization: text,
  mobilityTicket: opaque,
  ciscoStunFlowdata: opaque,
  enfFlowDescription: opaque,
  enfNetworkStatus: opaque,
  googNetworkInfo: opaque,
  googLastIceCheckReceived: opaque,
  googMiscInfo: opaque,
  googObsolete1: opaque,
  googConnectionId: opaque,
  googDelta: opaque,
  googDeltaAck: opaque,
  googMessageIntegrity32: opaque,
  dtlsInStun: opaque,
  dtlsInStunAcknowledgement: opaque,
};

const header = {
  class: fc.constantFrom("request", "indication", "success", "error"),
  method: fc.integer({ min: 0, max: 0xfff }),
  transactionId: bytesOf(12),
} as const;

const draft: fc.Arbitrary<Draft> = fc.record({
  ...header,
  attributes: fc.record(arbitraries, { requiredKeys: [] }) as fc.Arbitrary<Attributes>,
});

const protection = fc.record({
  key: fc.option(bytesOf(0, 70), { nil: undefined }),
  algorithm: fc.constantFrom("sha1" as const, "sha256" as const),
  fingerprint: fc.boolean(),
});

function withoutSeals(attributes: Attributes): Attributes {
  const { messageIntegrity, messageIntegritySha256, fingerprint, ...rest } = attributes;
  return rest;
}

describe("what encode writes, decode reads back", () => {
  test.each(Object.entries(arbitraries))("%s", (key, arbitrary) => {
    fc.assert(
      fc.property(arbitrary as fc.Arbitrary<unknown>, header.transactionId, (value, transactionId) => {
        const bytes = encode({ class: "request", method: 1, transactionId, attributes: { [key]: value } });
        const message = decode(bytes);
        expect(message?.attributes).toEqual({ [key]: value });
        expect(message?.malformed).toEqual([]);
        expect(new Set(message?.types)).toEqual(new Set([attributeTable[key as AttributeKey].type]));
      }),
    );
  });

  test("many attributes in any order, under any protection", () => {
    fc.assert(
      fc.property(draft, protection, (message, protection) => {
        const bytes = encode(message, protection);
        const read = decode(bytes);
        expect(read).toMatchObject({ class: message.class, method: message.method, classic: false, malformed: [] });
        expect(Buffer.from(message.transactionId).equals(read?.transactionId ?? Buffer.alloc(0))).toBe(true);
        expect(withoutSeals(read?.attributes ?? {})).toEqual(message.attributes);
        expect(Object.keys(withoutSeals(read?.attributes ?? {}))).toEqual(Object.keys(message.attributes));
        expect(read?.attributes.fingerprint !== undefined).toBe(protection.fingerprint);
        if (protection.key) expect(isIntact(bytes, protection.key, protection.algorithm)).toBe(true);
        if (read) expect(encode(read, protection)).toEqual(bytes);
      }),
      { numRuns: 300 },
    );
  });

  test("classic messages, whose sixteen bytes of transaction id do not begin with the cookie", () => {
    fc.assert(
      fc.property(bytesOf(16), endpoint, endpoint, (transactionId, mappedAddress, changedAddress) => {
        fc.pre(transactionId.readUInt32BE(0) !== 0x2112a442);
        const attributes = { mappedAddress, changedAddress };
        const draft = { class: "success", method: 1, transactionId, classic: true, attributes } as const;
        expect(decode(encode(draft))).toEqual({ ...draft, types: [0x0001, 0x0005], malformed: [] });
      }),
    );
  });
});
