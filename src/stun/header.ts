// The 20 bytes before a message's attributes: type, length, magic cookie, transaction id (RFC 8489 section 5).

import assert from "node:assert";
import { uint16At } from "./integers.ts";

export type MessageClass = "request" | "indication" | "success" | "error";

export const headerBytes = 20;
export const magicCookie = 0x2112a442;

/** The bits of a message type that say its class (RFC 8489 appendix A). */
const classBits: Readonly<Record<MessageClass, number>> = {
  request: 0x0000,
  indication: 0x0010,
  success: 0x0100,
  error: 0x0110,
};

export function classOfType(type: number): MessageClass {
  switch (type & 0x0110) {
    case classBits.request:
      return "request";
    case classBits.indication:
      return "indication";
    case classBits.success:
      return "success";
    default:
      return "error";
  }
}

export function methodOfType(type: number): number {
  return ((type & 0x3e00) >> 2) | ((type & 0x00e0) >> 1) | (type & 0x000f);
}

export function typeOf(messageClass: MessageClass, method: number): number {
  assert(method >= 0 && method <= 0xfff, `method ${method}`);
  return ((method & 0x0f80) << 2) | ((method & 0x0070) << 1) | (method & 0x000f) | classBits[messageClass];
}

/** Whether these bytes are, by their header, exactly one STUN message: two zero bits and a length that fits. */
export function isFramed(bytes: Buffer): boolean {
  if (bytes.length < headerBytes || bytes.readUInt8(0) > 0x3f) return false;
  const length = uint16At(bytes, 2);
  return length % 4 === 0 && bytes.length === headerBytes + length;
}

/** The same bytes with a Buffer's methods. Does not copy. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
