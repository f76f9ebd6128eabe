// Keys for message integrity: RFC 8489 sections 9.2.2 and 18.5.1 (long-term), 14.4 (USERHASH).

import { createHash } from "node:crypto";

/** What a server can keep of one name in one realm in place of the password. */
export interface LongTermKeys {
  readonly md5: Uint8Array;
  readonly sha256?: Uint8Array | undefined;
}

/**
 * The HMAC key of a long-term credential: 16 bytes for MD5, 32 for SHA-256. The username is taken as it stands in
 * USERNAME, where its sender has already prepared it.
 */
export function longTermKey(
  username: string,
  realm: string,
  password: string,
  algorithm: "md5" | "sha256" = "md5",
): Uint8Array {
  return createHash(algorithm)
    .update(`${username}:${opaqueString(realm)}:${opaqueString(password)}`)
    .digest();
}

/** What USERHASH carries in place of the username, 32 bytes. */
export function userhash(username: string, realm: string): Uint8Array {
  return createHash("sha256")
    .update(`${opaqueString(username)}:${opaqueString(realm)}`)
    .digest();
}

/** What RFC 8265 section 4.2.2 makes of a string. It also forbids some; we take them as they are. */
function opaqueString(text: string): string {
  return text.replace(/\p{Zs}/gu, " ").normalize("NFC");
}
