// Bytes to STUN messages and back (RFC 8489 sections 5, 6.3 and 14; RFC 3489 clients have no magic cookie).

import assert from "node:assert";
import type { Hmac } from "../contract.ts";
import { type Attributes, attributeTable, type KeyedRow, rowOfKey, rowOfType } from "./attributes.ts";
import { padded } from "./codecs.ts";
import { fingerprintAt } from "./fingerprint.ts";
import {
  asBuffer,
  classOfType,
  headerBytes,
  isFramed,
  type MessageClass,
  magicCookie,
  methodOfType,
  typeOf,
} from "./header.ts";
import { putUint16, putUint32, uint16At, uint32At } from "./integers.ts";
import { type IntegrityAlgorithm, integrityBytes, writeIntegrity } from "./integrity.ts";

export interface Message {
  readonly class: MessageClass;
  /** One of `Method`, or another. */
  readonly method: number;
  /** 12 bytes, 16 where `classic`. */
  readonly transactionId: Uint8Array;
  /** From an RFC 3489 client: answer with MAPPED-ADDRESS, for it knows no XOR. */
  readonly classic: boolean;
  /** Only what counts: after the first integrity attribute, nothing but a stronger one and FINGERPRINT does. */
  readonly attributes: Attributes;
  /** Type of every attribute that counts, known to the table or not, malformed or not, in order of arrival. */
  readonly types: readonly number[];
  /**
   * Those of `types` of which a value could not be read, and so is not among `attributes`. One that is
   * comprehension-required (below 0x8000) earns a request a 400. `brokenList` may be the last.
   */
  readonly malformed: readonly number[];
}

/** What `encode` takes; a decoded message is one too. Integrity attributes and FINGERPRINT are not taken from here. */
export interface Draft {
  readonly class: MessageClass;
  readonly method: number;
  readonly transactionId: Uint8Array;
  readonly classic?: boolean;
  readonly attributes: Attributes;
}

export interface Protection {
  readonly key?: Uint8Array | undefined;
  /** Which integrity attribute the key makes: sha1 if not said. */
  readonly algorithm?: IntegrityAlgorithm | undefined;
  /** What makes it: our own if not said. */
  readonly hmac?: Hmac | undefined;
  readonly fingerprint?: boolean | undefined;
}

const sha1Type = attributeTable.messageIntegrity.type;
const sha256Type = attributeTable.messageIntegritySha256.type;
const fingerprintType = attributeTable.fingerprint.type;

/** With its header. */
const fingerprintBytes = 8;

/** Stands in `malformed` for a list of attributes that runs past the end of the message. No attribute has this type. */
export const brokenList = 0x0000;

/** RFC 3489 knew two methods: Binding and Shared Secret. */
const lastClassicMethod = 2;

/**
 * The message that `bytes` are, from the first to the last, or undefined: never throws, never reads outside. A
 * FINGERPRINT that is wrong or not last makes it undefined; integrity is for `isIntact`, which needs a key.
 * Transaction id and opaque values are views of `bytes`.
 */
export function decode(bytes: Uint8Array): Message | undefined {
  const buffer = asBuffer(bytes);
  if (!isFramed(buffer)) return undefined;
  const type = uint16At(buffer, 0);
  const method = methodOfType(type);
  const classic = uint32At(buffer, 4) !== magicCookie;
  if (classic && method > lastClassicMethod) return undefined;
  const body = readBody(buffer);
  if (!body) return undefined;
  const { attributes, types, malformed } = body;
  const transactionId = buffer.subarray(classic ? 4 : 8, headerBytes);
  return { class: classOfType(type), method, transactionId, classic, attributes, types, malformed };
}

/**
 * The bytes of a message, its attributes in the order of their keys, padded with zeros. With a key it ends in an
 * integrity attribute, with `fingerprint` in a FINGERPRINT after that. Values out of their range are a fault of ours.
 */
export function encode(draft: Draft, protection: Protection = {}): Uint8Array {
  const { key, algorithm = "sha1", hmac, fingerprint = false } = protection;
  const entries = entriesOf(draft.attributes);
  const bodyBytes = entries.reduce((sum, { size }) => sum + 4 + padded(size), 0);
  const sealBytes = (key ? integrityBytes(algorithm) : 0) + (fingerprint ? fingerprintBytes : 0);
  const message = Buffer.allocUnsafe(headerBytes + bodyBytes + sealBytes).fill(0);
  writeHeader(message, draft);
  let at = headerBytes;
  for (const entry of entries) at = writeAttribute(message, at, entry);
  if (key) at = writeIntegrity(message, at, { key, algorithm, hmac });
  if (fingerprint) writeFingerprint(message, at);
  return message;
}

interface Body {
  readonly attributes: Record<string, unknown>;
  readonly types: number[];
  readonly malformed: number[];
}

function readBody(buffer: Buffer): Body | undefined {
  const body: Body = { attributes: {}, types: [], malformed: [] };
  /** The type of the integrity attribute that decides what may still follow, 0 before there is one. */
  let seal = 0;
  for (let at = headerBytes; at < buffer.length; ) {
    const type = uint16At(buffer, at);
    const next = at + 4 + padded(uint16At(buffer, at + 2));
    if (next > buffer.length) {
      body.malformed.push(brokenList);
      break;
    }
    if (type === fingerprintType && !isRightFingerprint(buffer, at)) return undefined;
    if (counts(type, seal)) {
      readAttribute(body, buffer, at, type);
      if (type === sha1Type || type === sha256Type) seal = type;
    }
    at = next;
  }
  return body;
}

/** What may follow an integrity attribute: RFC 8489 section 9, last paragraph of its introduction. */
function counts(type: number, seal: number): boolean {
  return seal === 0 || type === fingerprintType || (seal === sha1Type && type === sha256Type);
}

/** A type that was malformed once stays so, and what does not repeat counts where it came first. */
function readAttribute({ attributes, types, malformed }: Body, buffer: Buffer, at: number, type: number): void {
  const isFirst = !types.includes(type);
  types.push(type);
  const row = rowOfType(type);
  if (!row || malformed.includes(type) || !(isFirst || row.repeats)) return;
  const value = row.codec.read(buffer, at + 4, uint16At(buffer, at + 2));
  const earlier = isFirst ? undefined : attributes[row.key];
  if (value === undefined) malformed.push(type);
  else if (Array.isArray(earlier)) earlier.push(value);
  else attributes[row.key] = row.repeats ? [value] : value;
}

function isRightFingerprint(buffer: Buffer, at: number): boolean {
  if (at + fingerprintBytes !== buffer.length || uint16At(buffer, at + 2) !== 4) return false;
  return uint32At(buffer, at + 4) === fingerprintAt(buffer, at);
}

interface Entry {
  readonly row: KeyedRow;
  readonly value: unknown;
  /** Bytes of the value, without padding. */
  readonly size: number;
}

/** One entry an attribute on the wire: repeated ones apart, absent ones and seals left out. */
function entriesOf(attributes: Attributes): Entry[] {
  const entries: Entry[] = [];
  for (const [key, given] of Object.entries(attributes)) {
    const row = rowOfKey(key);
    assert(row, `no such attribute: ${key}`);
    if (given === undefined || isSeal(row.type)) continue;
    const values: readonly unknown[] = row.repeats && Array.isArray(given) ? given : [given];
    for (const value of values) entries.push({ row, value, size: row.codec.size(value) });
  }
  return entries;
}

function isSeal(type: number): boolean {
  return type === sha1Type || type === sha256Type || type === fingerprintType;
}

function writeHeader(message: Buffer, draft: Draft): void {
  const { classic = false, transactionId } = draft;
  assert.equal(transactionId.length, classic ? 16 : 12, "bytes of the transaction id");
  putUint16(message, 0, typeOf(draft.class, draft.method));
  putUint16(message, 2, message.length - headerBytes);
  putUint32(message, 4, magicCookie);
  message.set(transactionId, classic ? 4 : 8);
}

/** Returns where the next one begins. */
function writeAttribute(message: Buffer, at: number, { row, value, size }: Entry): number {
  putUint16(message, at, row.type);
  putUint16(message, at + 2, size);
  row.codec.write(message, at + 4, value);
  return at + 4 + padded(size);
}

function writeFingerprint(message: Buffer, at: number): void {
  putUint16(message, at, fingerprintType);
  putUint16(message, at + 2, 4);
  putUint32(message, at + 4, fingerprintAt(message, at));
}
