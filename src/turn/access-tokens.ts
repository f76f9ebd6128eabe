// Whoever comes with a token that a server for authorization has given out (RFC 7635, from memory): its name is that of
// the key that seals the token, and its requests are protected by the session key in there.

import { createHash } from "node:crypto";
import type { Millis } from "../contract.ts";
import { openAccessToken, type TokenAlgorithm } from "../stun/access-token.ts";
import type { Identity } from "./request.ts";

export interface TokenKey {
  /** What clients give as their name. */
  readonly kid: string;
  readonly key: Uint8Array;
  readonly algorithm: TokenAlgorithm;
  /** When it may be used. */
  readonly from: Millis;
  readonly until: Millis;
}

export interface AccessTokensOptions {
  /** As the authorization server knows us: a token is good for one name only. */
  readonly serverName: string;
  readonly keys: readonly TokenKey[];
}

/** In place of a name: tokens do not say whose they are, and a client may use another one for the same allocation. */
const tokenHolder = "";

/** Between the clocks of both servers, and on the way (section 4.1.1). */
const skewMillis = 5000;

export class AccessTokens {
  readonly serverName: string;
  readonly #keys: ReadonlyMap<string, TokenKey>;

  constructor({ serverName, keys }: AccessTokensOptions) {
    this.serverName = serverName;
    this.#keys = new Map(keys.map((key) => [key.kid, key]));
  }

  knows(kid: string): boolean {
    return this.#keys.has(kid);
  }

  /** Who may have come with this token; nobody if it is not one of ours, or not good now. */
  identify(kid: string, token: Uint8Array, integrity: Identity["integrity"], now: Millis): Identity[] {
    const sealedWith = this.#keys.get(kid);
    if (!sealedWith || now < sealedWith.from || now >= sealedWith.until) return [];
    const opened = openAccessToken(token, { ...sealedWith, serverName: this.serverName });
    if (!opened) return [];
    const { key, madeAt, lifetimeSeconds } = opened;
    const goodForMillis = lifetimeSeconds * 1000 + skewMillis;
    if (Math.abs(now - madeAt) >= goodForMillis) return [];
    const until = Math.min(madeAt + goodForMillis, sealedWith.until);
    const credential = { user: userOf(kid, key), until, keys: { md5: key } };
    return keysOf(key).map((each) => ({ username: tokenHolder, credential, key: each, integrity }));
  }
}

/** Who has shown a token, here or for this allocation before. */
export function isTokenHolder({ username }: Identity): boolean {
  return username === tokenHolder;
}

/** The session key, and what coturn and its client take for it: as much of it as there is of a key made by MD5. */
function keysOf(key: Uint8Array): Uint8Array[] {
  return [key, key.subarray(0, 16)];
}

/** What quotas count is the session: the same for every token that carries the same key. */
function userOf(kid: string, key: Uint8Array): string {
  return `${kid}:${createHash("sha256").update(key).digest("hex").slice(0, 16)}`;
}
