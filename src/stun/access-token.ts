// ACCESS-TOKEN: a session key that an authorization server hands to a client, sealed with a key that only it and we have
// (RFC 7635 sections 4.1.1 and 6.2, from memory). A nonce after two bytes of its length; sealed,
// the session key after two bytes of its length, when the token was made, and for how many seconds it is good; the tag.

import { createDecipheriv } from "node:crypto";

/** By their names in RFC 7635; both are AEAD as in RFC 5116. */
export const tokenCiphers = {
  A256GCM: { cipher: "aes-256-gcm", keyBytes: 32 },
  A128GCM: { cipher: "aes-128-gcm", keyBytes: 16 },
} as const;

export type TokenAlgorithm = keyof typeof tokenCiphers;

export interface AccessToken {
  /** Of message integrity. */
  readonly key: Uint8Array;
  /** Unix time, as Unix milliseconds. */
  readonly madeAt: number;
  readonly lifetimeSeconds: number;
}

const nonceBytes = 12;
const tagBytes = 16;
/** Of its session key: 160 bits for HMAC-SHA-1, and what longer ones a stronger HMAC may want. */
const keyBytes = { least: 20, most: 64 };

/**
 * What a token says that was sealed with this key for the server of this name, or undefined. `key` has as many bytes as
 * the algorithm wants.
 */
export function openAccessToken(
  token: Uint8Array,
  sealedWith: { readonly key: Uint8Array; readonly algorithm: TokenAlgorithm; readonly serverName: string },
): AccessToken | undefined {
  const bytes = Buffer.from(token.buffer, token.byteOffset, token.length);
  const blockAt = 2 + nonceBytes;
  if (bytes.length < blockAt + tagBytes || bytes.readUInt16BE(0) !== nonceBytes) return undefined;
  const { cipher } = tokenCiphers[sealedWith.algorithm];
  const tagAt = bytes.length - tagBytes;
  const opening = createDecipheriv(cipher, sealedWith.key, bytes.subarray(2, blockAt), { authTagLength: tagBytes });
  opening.setAAD(Buffer.from(sealedWith.serverName));
  opening.setAuthTag(bytes.subarray(tagAt));
  const block = opening.update(bytes.subarray(blockAt, tagAt));
  try {
    opening.final();
  } catch {
    return undefined;
  }
  return readBlock(block);
}

function readBlock(block: Buffer): AccessToken | undefined {
  if (block.length < 2) return undefined;
  const length = block.readUInt16BE(0);
  const isRight = length >= keyBytes.least && length <= keyBytes.most && block.length === 2 + length + 8 + 4;
  if (!isRight) return undefined;
  const timeAt = 2 + length;
  const fraction = block.readUInt16BE(timeAt + 6) / 64_000;
  return {
    key: block.subarray(2, timeAt),
    madeAt: (block.readUIntBE(timeAt, 6) + fraction) * 1000,
    lifetimeSeconds: block.readUInt32BE(timeAt + 8),
  };
}
