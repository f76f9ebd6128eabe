// STUN bytes as this suite writes and reads them (RFC 8489 sections 5 and 14, RFC 8656 section 12.4). A second,
// separate codec on purpose: the one in src/ is among the things that are judged, and here malformed bytes are wanted.

import { createHash, createHmac, randomBytes } from "node:crypto";
import { isIPv6 } from "node:net";
import { crc32 } from "node:zlib";

export const magicCookie = 0x2112a442;
export const headerBytes = 20;

export const method = {
  binding: 0x001,
  allocate: 0x003,
  refresh: 0x004,
  send: 0x006,
  data: 0x007,
  createPermission: 0x008,
  channelBind: 0x009,
} as const;

/** The two class bits where they stand in the message type (RFC 8489 section 5, figure 3). */
export const messageClass = { request: 0x000, indication: 0x010, success: 0x100, error: 0x110 } as const;

export const attribute = {
  mappedAddress: 0x0001,
  username: 0x0006,
  messageIntegrity: 0x0008,
  errorCode: 0x0009,
  unknownAttributes: 0x000a,
  channelNumber: 0x000c,
  lifetime: 0x000d,
  xorPeerAddress: 0x0012,
  data: 0x0013,
  realm: 0x0014,
  nonce: 0x0015,
  xorRelayedAddress: 0x0016,
  requestedAddressFamily: 0x0017,
  evenPort: 0x0018,
  requestedTransport: 0x0019,
  dontFragment: 0x001a,
  messageIntegritySha256: 0x001c,
  passwordAlgorithm: 0x001d,
  userhash: 0x001e,
  xorMappedAddress: 0x0020,
  reservationToken: 0x0022,
  additionalAddressFamily: 0x8000,
  addressErrorCode: 0x8001,
  passwordAlgorithms: 0x8002,
  icmp: 0x8004,
  software: 0x8022,
  fingerprint: 0x8028,
} as const;

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** An attribute to be written. The value of an XORed IPv6 address depends on the transaction. */
export interface Attribute {
  readonly type: number;
  readonly value: Uint8Array | ((transactionId: Uint8Array) => Uint8Array);
  /** What the padding is filled with; anything but 0 is a thing only a test sends. */
  readonly padWith?: number;
}

export function attributeOf(type: number, value: Uint8Array | string = new Uint8Array(0)): Attribute {
  return { type, value: typeof value === "string" ? Buffer.from(value) : value };
}

/** The length of `bytes` rounded up to a 32-bit boundary. */
export function padded(bytes: number): number {
  return Math.ceil(bytes / 4) * 4;
}

function attributeBytes({ type, value, padWith = 0 }: Attribute, transactionId: Uint8Array): Buffer {
  const content = typeof value === "function" ? value(transactionId) : value;
  const bytes = Buffer.alloc(4 + padded(content.length), padWith);
  bytes.writeUInt16BE(type, 0);
  bytes.writeUInt16BE(content.length, 2);
  bytes.set(content, 4);
  return bytes;
}

/** A whole message. `type` is method and class together, as in `method.allocate | messageClass.request`. */
export function message(
  type: number,
  attributes: readonly Attribute[] = [],
  transactionId: Uint8Array = randomBytes(12),
): Buffer {
  const header = Buffer.alloc(headerBytes);
  header.writeUInt16BE(type, 0);
  header.writeUInt32BE(magicCookie, 4);
  header.set(transactionId, 8);
  return append(header, ...attributes);
}

/** `bytes` with more attributes at its end, and its length corrected. */
export function append(bytes: Uint8Array, ...attributes: readonly Attribute[]): Buffer {
  const transactionId = bytes.subarray(8, headerBytes);
  const longer = Buffer.concat([bytes, ...attributes.map((each) => attributeBytes(each, transactionId))]);
  longer.writeUInt16BE(longer.length - headerBytes, 2);
  return longer;
}

/** `bytes` with its length field replaced, right or wrong. */
export function withLength(bytes: Uint8Array, length: number): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUInt16BE(length, 2);
  return copy;
}

export type Digest = "sha1" | "sha256";

/** The HMAC of the first `end` bytes of a message as if it ended with an integrity attribute of `valueBytes` there. */
function integrity(bytes: Uint8Array, end: number, key: Uint8Array, digest: Digest, valueBytes: number): Buffer {
  const covered = withLength(bytes.subarray(0, end), end + 4 + valueBytes - headerBytes);
  return createHmac(digest, key).update(covered).digest();
}

const fullBytes = { sha1: 20, sha256: 32 } as const;
const integrityType = { sha1: attribute.messageIntegrity, sha256: attribute.messageIntegritySha256 } as const;

/** Appends MESSAGE-INTEGRITY or MESSAGE-INTEGRITY-SHA256, cut to `valueBytes` if that is fewer (section 14.6). */
export function withIntegrity(
  bytes: Uint8Array,
  key: Uint8Array,
  digest: Digest = "sha1",
  valueBytes: number = fullBytes[digest],
): Buffer {
  const value = integrity(bytes, bytes.length, key, digest, valueBytes).subarray(0, valueBytes);
  return append(bytes, { type: integrityType[digest], value });
}

export function withFingerprint(bytes: Uint8Array): Buffer {
  const dummy = append(bytes, { type: attribute.fingerprint, value: new Uint8Array(4) });
  dummy.writeUInt32BE(fingerprintOf(dummy, bytes.length), dummy.length - 4);
  return dummy;
}

function fingerprintOf(bytes: Uint8Array, end: number): number {
  return (crc32(bytes.subarray(0, end)) ^ 0x5354554e) >>> 0;
}

export function longTermKey(
  username: string,
  realm: string,
  password: string,
  digest: "md5" | "sha256" = "md5",
): Buffer {
  return createHash(digest).update(`${username}:${realm}:${password}`).digest();
}

// --- attributes ---

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

export const lifetime = (seconds: number): Attribute => attributeOf(attribute.lifetime, uint32(seconds));
export const data = (payload: Uint8Array | string): Attribute => attributeOf(attribute.data, payload);
export const channelNumber = (channel: number, reserved = 0): Attribute =>
  attributeOf(attribute.channelNumber, Buffer.concat([uint16(channel), uint16(reserved)]));
export const requestedTransport = (protocol = 17): Attribute =>
  attributeOf(attribute.requestedTransport, Buffer.of(protocol, 0, 0, 0));
export const evenPort = (reservesNext: boolean): Attribute =>
  attributeOf(attribute.evenPort, Buffer.of(reservesNext ? 0x80 : 0));
export const requestedAddressFamily = (family: number): Attribute =>
  attributeOf(attribute.requestedAddressFamily, Buffer.of(family, 0, 0, 0));
export const additionalAddressFamily = (family: number): Attribute =>
  attributeOf(attribute.additionalAddressFamily, Buffer.of(family, 0, 0, 0));

export function xorPeerAddress(peer: Endpoint): Attribute {
  return { type: attribute.xorPeerAddress, value: (transactionId) => xoredAddress(peer, transactionId) };
}

function xoredAddress({ address, port }: Endpoint, transactionId: Uint8Array): Buffer {
  const plain = addressBytes(address);
  const mask = Buffer.concat([uint32(magicCookie), transactionId]);
  const bytes = Buffer.of(0, plain.length === 4 ? 1 : 2, 0, 0, ...plain.map((byte, i) => byte ^ (mask[i] ?? 0)));
  bytes.writeUInt16BE(port ^ (magicCookie >>> 16), 2);
  return bytes;
}

export function addressBytes(address: string): Buffer {
  if (!isIPv6(address)) return Buffer.from(address.split(".").map(Number));
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address);
  const text = dotted ? `${dotted[1]}${hexPair(dotted[2], dotted[3])}:${hexPair(dotted[4], dotted[5])}` : address;
  const [head = "", tail] = text.split("::");
  const groups = (part: string) => (part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16)));
  const [before, after] = [groups(head), tail === undefined ? [] : groups(tail)];
  const zeros = Array<number>(8 - before.length - after.length).fill(0);
  return Buffer.concat([...before, ...zeros, ...after].map(uint16));
}

function hexPair(high: string | undefined, low: string | undefined): string {
  return ((Number(high) << 8) | Number(low)).toString(16);
}

/** The text of 4 or 16 address bytes; `normalAddress` of it is comparable. */
export function addressText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  const view = Buffer.from(bytes);
  return normalAddress(Array.from({ length: 8 }, (_, i) => view.readUInt16BE(2 * i).toString(16)).join(":"));
}

/** One spelling for each IPv6 address (that of the URL parser, RFC 5952 but for v4-mapped ones). */
export function normalAddress(address: string): string {
  return isIPv6(address) ? new URL(`http://[${address}]`).hostname.slice(1, -1) : address;
}

// --- reading ---

/** An attribute as it stood on the wire. `at` is where its type begins. */
export interface ReadAttribute {
  readonly type: number;
  readonly value: Buffer;
  readonly padding: Buffer;
  readonly at: number;
}

/** A message as it stood on the wire. */
export interface Reading {
  readonly bytes: Buffer;
  readonly type: number;
  readonly length: number;
  readonly cookie: number;
  readonly transactionId: Buffer;
  readonly attributes: readonly ReadAttribute[];
}

/** Reads as much as is there and judges nothing; `undefined` when there is not even a header or an attribute is cut. */
export function read(bytes: Buffer): Reading | undefined {
  if (bytes.length < headerBytes) return undefined;
  const attributes: ReadAttribute[] = [];
  for (let at = headerBytes; at < bytes.length; ) {
    if (bytes.length - at < 4) return undefined;
    const valueBytes = bytes.readUInt16BE(at + 2);
    const end = at + 4 + padded(valueBytes);
    if (end > bytes.length) return undefined;
    const value = bytes.subarray(at + 4, at + 4 + valueBytes);
    attributes.push({ type: bytes.readUInt16BE(at), value, padding: bytes.subarray(at + 4 + valueBytes, end), at });
    at = end;
  }
  return {
    bytes,
    type: bytes.readUInt16BE(0),
    length: bytes.readUInt16BE(2),
    cookie: bytes.readUInt32BE(4),
    transactionId: bytes.subarray(8, headerBytes),
    attributes,
  };
}

export function find(reading: Reading, type: number): ReadAttribute | undefined {
  return reading.attributes.find((each) => each.type === type);
}

export function methodOf(reading: Reading): number {
  return reading.type & ~messageClass.error;
}

export function classOf(reading: Reading): number {
  return reading.type & messageClass.error;
}

/** The number in ERROR-CODE; 0 when there is none. */
export function errorCodeOf(reading: Reading): number {
  const value = find(reading, attribute.errorCode)?.value;
  return value && value.length >= 4 ? ((value[2] ?? 0) & 7) * 100 + (value[3] ?? 0) : 0;
}

/** Every address of a type, unXORed by the header of the message it stands in. Values of a wrong shape are left out. */
export function xorAddresses(reading: Reading, type: number): Endpoint[] {
  return reading.attributes
    .filter((each) => each.type === type && each.value.length === (each.value[1] === 2 ? 20 : 8))
    .map(({ value }) => {
      const mask = reading.bytes.subarray(4, headerBytes);
      const address = addressText(value.subarray(4).map((byte, i) => byte ^ (mask[i] ?? 0)));
      return { address, port: value.readUInt16BE(2) ^ mask.readUInt16BE(0) };
    });
}

/** Whether the integrity attribute is there, of full length, and covers exactly what stands before it. */
export function hasIntegrity(reading: Reading, key: Uint8Array, digest: Digest = "sha1"): boolean {
  const found = find(reading, integrityType[digest]);
  if (!found || found.value.length !== fullBytes[digest]) return false;
  return found.value.equals(integrity(reading.bytes, found.at, key, digest, fullBytes[digest]));
}

export function hasFingerprint(reading: Reading): boolean {
  const found = find(reading, attribute.fingerprint);
  return found?.value.length === 4 && found.value.readUInt32BE(0) === fingerprintOf(reading.bytes, found.at);
}

// --- ChannelData ---

export interface ChannelData {
  readonly channel: number;
  readonly payload: Buffer;
}

export function channelData(channel: number, payload: Uint8Array | string): Buffer {
  const content = Buffer.from(payload);
  return Buffer.concat([uint16(channel), uint16(content.length), content]);
}

/** As it must be on a stream: padded to a multiple of four, the padding not counted (RFC 8656 section 12.5). */
export function paddedChannelData(channel: number, payload: Uint8Array | string): Buffer {
  const bytes = channelData(channel, payload);
  return Buffer.concat([bytes, Buffer.alloc(padded(bytes.length) - bytes.length)]);
}
