// Stateless nonces (RFC 8489 section 9.2.4): the time of issue and a MAC over it, the client's transport address, the
// realm and the nonce cookie before it, if there is one. There is nothing to store, so nothing to flood.

import { timingSafeEqual } from "node:crypto";
import type { Endpoint, Millis } from "../contract.ts";
import { hmac } from "../stun/hmac.ts";

/** Bits of the STUN security features (section 18.1), of which bit 0 is the most significant of 24. */
export const passwordAlgorithmsFeature = 0x800000;
export const usernameAnonymityFeature = 0x400000;

/** What a nonce begins with to say that these features are there (section 9.2): 13 characters. */
export function nonceCookie(features: number): string {
  const bytes = Buffer.alloc(3);
  bytes.writeUIntBE(features, 0, 3);
  return `obMatJos2${bytes.toString("base64")}`;
}

export class Nonces {
  readonly #secret: Uint8Array;
  readonly #realm: string;
  readonly #lifetimeSeconds: number;
  /** Nonces that came back and were ours, and whose they are: a client shows one many times. */
  readonly #known = new Map<string, string>();

  constructor(secret: Uint8Array, realm: string, lifetimeSeconds: number) {
    this.#secret = secret;
    this.#realm = realm;
    this.#lifetimeSeconds = lifetimeSeconds;
  }

  /** The cookie and 15 characters. One client gets the same again within the same second. */
  issue(now: Millis, client: Endpoint, cookie: string): string {
    return cookie + this.#stamp(Math.floor(now / 1000), client, cookie).toString("base64url");
  }

  /** Whether we issued it, cookie and all, to this client, and not too long ago. */
  isFresh(nonce: string, now: Millis, client: Endpoint): boolean {
    const text = nonce.slice(-stampCharacters);
    const stamp = Buffer.from(text, "base64url");
    if (stamp.length !== stampBytes || stamp.toString("base64url") !== text) return false;
    const issued = stamp.readUInt32BE();
    const ageSeconds = Math.floor(now / 1000) - issued;
    if (ageSeconds < 0 || ageSeconds >= this.#lifetimeSeconds) return false;
    const owner = `${client.address} ${client.port}`;
    if (this.#known.get(nonce) === owner) return true;
    if (!timingSafeEqual(stamp, this.#stamp(issued, client, nonce.slice(0, -stampCharacters)))) return false;
    if (this.#known.size >= knownNonces) this.#known.clear();
    this.#known.set(nonce, owner);
    return true;
  }

  #stamp(seconds: number, client: Endpoint, cookie: string): Buffer {
    const stamp = Buffer.alloc(stampBytes);
    stamp.writeUInt32BE(seconds >>> 0);
    const text = `${cookie} ${seconds >>> 0} ${client.address} ${client.port} ${this.#realm}`;
    hmac("sha256", this.#secret, Buffer.from(text)).copy(stamp, 4, 0, stampBytes - 4);
    return stamp;
  }
}

const knownNonces = 16_384;

/** Four of time and seven of MAC: short, so that a 401 stays within 2.5 times the request that it answers. */
const stampBytes = 11;
const stampCharacters = 15;
