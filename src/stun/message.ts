// Bytes to STUN messages and back (RFC 8489 sections 5, 6.3 and 14; RFC 3489 clients have no magic cookie).

import assert from "node:assert";
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
  /** Those of `types` whose value could not be read, and so is not among `attributes`: a request earns a 400. */
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
  readonly fingerprint?: boolean | undefined;
}

const sealTypes: ReadonlySet<number> = new Set([
  attributeTable.messageIntegrity.type,
  attributeTable.messageIntegritySha256.type,
  attributeTable.fingerprint.type,
]);

const fingerprintBytes = 8;

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
  const type = buffer.readUInt16BE(0);
  const method = methodOfType(type);
  const classic = buffer.readUInt32BE(4) !== magicCookie;
  if (classic && method > lastClassicMethod) return undefined;
  const body = readBody(buffer);
  if (!body) return undefined;
  const transactionId = buffer.subarray(classic ? 4 : 8, headerBytes);
  return { class: classOfType(type), method, transactionId, classic, ...body };
}

/**
 * The bytes of a message, its attributes in the order of their keys, padded with zeros. With a key it ends in an
 * integrity attribute, with `fingerprint` in a FINGERPRINT after that. Values out of their range are a fault of ours.
 */
export function encode(draft: Draft, protection: Protection = {}): Uint8Array {
  const { key, algorithm = "sha1", fingerprint = false } = protection;
  const entries = entriesOf(draft.attributes);
  const bodyBytes = entries.reduce((sum, { size }) => sum + 4 + padded(size), 0);
  const sealBytes = (key ? integrityBytes(algorithm) : 0) + (fingerprint ? fingerprintBytes : 0);
  const message = Buffer.allocUnsafe(headerBytes + bodyBytes + sealBytes).fill(0);
  writeHeader(message, draft);
  let at = headerBytes;
  for (const entry of entries) at = writeAttribute(message, at, entry);
  if (key) at = writeIntegrity(message, at, key, algorithm);
  if (fingerprint) writeFingerprint(message, at);
  return message;
}

type Body = Pick<Message, "attributes" | "types" | "malformed">;

function readBody(buffer: Buffer): Body | undefined {
  const attributes: Record<string, unknown> = {};
  const types: number[] = [];
  const malformed: number[] = [];
  let seal = 0;
  for (let at = headerBytes; at < buffer.length; ) {
    const type = buffer.readUInt16BE(at);
    const length = buffer.readUInt16BE(at + 2);
    const next = at + 4 + padded(length);
    if (next > buffer.length) return undefined;
    if (type === attributeTable.fingerprint.type && !isRightFingerprint(buffer, at)) return undefined;
    if (counts(type, seal)) {
      types.push(type);
      if (!readAttribute(attributes, buffer, at, type, length)) malformed.push(type);
    }
    if (isIntegrity(type)) seal = Math.max(seal, type);
    at = next;
  }
  return { attributes, types, malformed };
}

/** `seal` is the strongest integrity attribute passed so far, 0 for none (RFC 8489 section 9.1.3, last paragraph). */
function counts(type: number, seal: number): boolean {
  if (seal === 0 || type === attributeTable.fingerprint.type) return true;
  return seal === attributeTable.messageIntegrity.type && type === attributeTable.messageIntegritySha256.type;
}

function isIntegrity(type: number): boolean {
  return type === attributeTable.messageIntegrity.type || type === attributeTable.messageIntegritySha256.type;
}

/** Puts the value where it belongs; false if there is none to be read. Types not in the table have none to miss. */
function readAttribute(
  attributes: Record<string, unknown>,
  buffer: Buffer,
  at: number,
  type: number,
  length: number,
): boolean {
  const row = rowOfType(type);
  if (!row) return true;
  const earlier = attributes[row.key];
  if (earlier !== undefined && !row.repeats) return true;
  const value = row.codec.read(buffer, at + 4, length);
  if (value === undefined) return false;
  if (!row.repeats) attributes[row.key] = value;
  else if (Array.isArray(earlier)) earlier.push(value);
  else attributes[row.key] = [value];
  return true;
}

function isRightFingerprint(buffer: Buffer, at: number): boolean {
  if (at + fingerprintBytes !== buffer.length || buffer.readUInt16BE(at + 2) !== 4) return false;
  return buffer.readUInt32BE(at + 4) === fingerprintAt(buffer, at);
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
    if (given === undefined || sealTypes.has(row.type)) continue;
    const values: readonly unknown[] = row.repeats && Array.isArray(given) ? given : [given];
    for (const value of values) entries.push({ row, value, size: row.codec.size(value) });
  }
  return entries;
}

function writeHeader(message: Buffer, draft: Draft): void {
  const { classic = false, transactionId } = draft;
  assert.equal(transactionId.length, classic ? 16 : 12, "bytes of the transaction id");
  message.writeUInt16BE(typeOf(draft.class, draft.method), 0);
  message.writeUInt16BE(message.length - headerBytes, 2);
  if (!classic) message.writeUInt32BE(magicCookie, 4);
  message.set(transactionId, classic ? 4 : 8);
}

/** Returns where the next one begins. */
function writeAttribute(message: Buffer, at: number, { row, value, size }: Entry): number {
  message.writeUInt16BE(row.type, at);
  message.writeUInt16BE(size, at + 2);
  row.codec.write(message, at + 4, value);
  return at + 4 + padded(size);
}

function writeFingerprint(message: Buffer, at: number): void {
  message.writeUInt16BE(attributeTable.fingerprint.type, at);
  message.writeUInt16BE(4, at + 2);
  message.writeUInt32BE(fingerprintAt(message, at), at + 4);
}
