// HMAC (RFC 2104), made of two hashes at one stroke each: for messages as short as ours that costs little more than half
// of what node:crypto's own objects for it do.

import { hash } from "node:crypto";

export type HashAlgorithm = "sha1" | "sha256";

/** What both hash functions take in at a time. */
const blockBytes = 64;
export const digestBytes: Readonly<Record<HashAlgorithm, number>> = { sha1: 20, sha256: 32 };

/** Over these parts as one message. */
export function hmac(algorithm: HashAlgorithm, key: Uint8Array, ...parts: readonly Uint8Array[]): Buffer {
  const messageBytes = parts.reduce((sum, { length }) => sum + length, 0);
  const text = Buffer.allocUnsafe(blockBytes + Math.max(messageBytes, digestBytes[algorithm]));
  const inner = text.subarray(0, blockBytes + messageBytes);
  pad(inner, algorithm, key, 0x36);
  let at = blockBytes;
  for (const part of parts) {
    inner.set(part, at);
    at += part.length;
  }
  const innerDigest = hash(algorithm, inner, "buffer");
  const outer = text.subarray(0, blockBytes + digestBytes[algorithm]);
  pad(outer, algorithm, key, 0x5c);
  outer.set(innerDigest, blockBytes);
  return hash(algorithm, outer, "buffer");
}

/** Begins a text with the key, each byte of it turned by `mask`. */
function pad(text: Buffer, algorithm: HashAlgorithm, key: Uint8Array, mask: number): void {
  const bytes = key.length > blockBytes ? hash(algorithm, key, "buffer") : key;
  text.fill(mask, 0, blockBytes);
  for (let i = 0; i < bytes.length; i++) text[i] = (bytes[i] ?? 0) ^ mask;
}
