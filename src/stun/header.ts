// The 20 bytes before a message's attributes: type, length, magic cookie, transaction id (RFC 8489 section 5).

import assert from "node:assert";

export type MessageClass = "request" | "indication" | "success" | "error";

export const headerBytes = 20;
export const magicCookie = 0x2112a442;

/** In the order of their two-bit codes. */
const classes: readonly MessageClass[] = ["request", "indication", "success", "error"];

export function classOfType(type: number): MessageClass {
  return classes[((type & 0x0100) >> 7) | ((type & 0x0010) >> 4)] ?? "request";
}

export function methodOfType(type: number): number {
  return ((type & 0x3e00) >> 2) | ((type & 0x00e0) >> 1) | (type & 0x000f);
}

export function typeOf(messageClass: MessageClass, method: number): number {
  assert(method >= 0 && method <= 0xfff, `method ${method}`);
  const code = classes.indexOf(messageClass);
  const methodBits = ((method & 0x0f80) << 2) | ((method & 0x0070) << 1) | (method & 0x000f);
  return methodBits | ((code & 2) << 7) | ((code & 1) << 4);
}

/** Whether these bytes are, by their header, exactly one STUN message: two zero bits and a length that fits. */
export function isFramed(bytes: Buffer): boolean {
  if (bytes.length < headerBytes || bytes.readUInt8(0) > 0x3f) return false;
  const length = bytes.readUInt16BE(2);
  return length % 4 === 0 && bytes.length === headerBytes + length;
}

/** The same bytes with a Buffer's methods. Does not copy. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
