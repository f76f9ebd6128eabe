// MESSAGE-INTEGRITY and MESSAGE-INTEGRITY-SHA256: HMACs over the message before them, with the length in the header
// set as if they were its last attribute (RFC 8489 sections 14.5 and 14.6). RFC 3489 had another one, which padded that
// text to 64 bytes; nobody is left who sends it.

import { timingSafeEqual } from "node:crypto";
import type { Hmac } from "../contract.ts";
import { attributeTable } from "./attributes.ts";
import { padded } from "./codecs.ts";
import { asBuffer, headerBytes, isFramed } from "./header.ts";
import { type HashAlgorithm, hmac as hmacOfHashes } from "./hmac.ts";
import { putUint16, uint16At } from "./integers.ts";

export type IntegrityAlgorithm = HashAlgorithm;

export interface Integrity {
  readonly key: Uint8Array;
  readonly algorithm: IntegrityAlgorithm;
  /** Our own if not said. */
  readonly hmac?: Hmac | undefined;
}

/** The attribute type that carries each, and the lengths it can have: SHA-256 may be cut to sixteen bytes or more. */
const integrity = {
  sha1: { type: attributeTable.messageIntegrity.type, least: 20, most: 20 },
  sha256: { type: attributeTable.messageIntegritySha256.type, least: 16, most: 32 },
} as const;

/**
 * Whether `bytes`, one whole message, carry the right HMAC by this key. A usage that forbids truncation checks the
 * length of the attribute itself. Takes the same time however much of it is right.
 */
export function isIntact(
  bytes: Uint8Array,
  key: Uint8Array,
  algorithm: IntegrityAlgorithm = "sha1",
  hmac: Hmac = hmacOfHashes,
): boolean {
  const message = asBuffer(bytes);
  if (!isFramed(message)) return false;
  const { type, least, most } = integrity[algorithm];
  const at = find(message, type);
  if (at === undefined) return false;
  const length = uint16At(message, at + 2);
  const end = at + 4 + length;
  if (length < least || length > most || length % 4 !== 0 || end > message.length) return false;
  const expected = macOf(message, at, length, { key, algorithm, hmac }).subarray(0, length);
  return timingSafeEqual(message.subarray(at + 4, end), expected);
}

/** Writes the attribute at `at` and leaves the header's length as if the message ended with it. Returns that end. */
export function writeIntegrity(message: Buffer, at: number, by: Integrity): number {
  const { type, most } = integrity[by.algorithm];
  putUint16(message, at, type);
  putUint16(message, at + 2, most);
  message.set(macOf(message, at, most, by), at + 4);
  return at + 4 + most;
}

/** Bytes of the attribute with its header. */
export function integrityBytes(algorithm: IntegrityAlgorithm): number {
  return 4 + integrity[algorithm].most;
}

function macOf(
  message: Buffer,
  at: number,
  length: number,
  { key, algorithm, hmac = hmacOfHashes }: Integrity,
): Buffer {
  const bodyBytes = at + 4 + length - headerBytes;
  if (uint16At(message, 2) === bodyBytes) return hmac(algorithm, key, message.subarray(0, at));
  const start = Buffer.from(message.subarray(0, 4));
  putUint16(start, 2, bodyBytes);
  return hmac(algorithm, key, start, message.subarray(4, at));
}

/** Where the first attribute of a type begins. */
function find(message: Buffer, type: number): number | undefined {
  for (let at = headerBytes; at < message.length; at += 4 + padded(uint16At(message, at + 2))) {
    if (uint16At(message, at) === type) return at;
  }
  return undefined;
}
