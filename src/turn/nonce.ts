// Stateless nonces (RFC 8489 section 9.2.4): the time of issue and a MAC over it, the client's transport address, the
// realm and the nonce cookie before it, if there is one. There is nothing to store, so nothing to flood. Planes make them,
// too (native/challenge.cpp).

import { timingSafeEqual } from "node:crypto";
import { type Endpoint, type Hmac, isSameEndpoint, type Millis } from "../contract.ts";
import { parseAddress } from "../stun/address.ts";
import { hmac as hmacOfHashes } from "../stun/hmac.ts";

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
  readonly #hmac: Hmac;
  /** Nonces that came back and were ours, and whose they are: a client shows one many times. */
  readonly #known = new Map<string, { readonly client: Endpoint; readonly issued: number }>();

  constructor(secret: Uint8Array, realm: string, lifetimeSeconds: number, hmac: Hmac = hmacOfHashes) {
    this.#secret = secret;
    this.#realm = realm;
    this.#lifetimeSeconds = lifetimeSeconds;
    this.#hmac = hmac;
  }

  /** The cookie and 15 characters. One client gets the same again within the same second. */
  issue(now: Millis, client: Endpoint, cookie: string): string {
    return cookie + this.#stamp(Math.floor(now / 1000), client, cookie).toString("base64url");
  }

  /** Whether we issued it, cookie and all, to this client, and not too long ago. */
  isFresh(nonce: string, now: Millis, client: Endpoint): boolean {
    const known = this.#known.get(nonce);
    const issued = known && isSameEndpoint(known.client, client) ? known.issued : this.#issuedTo(client, nonce);
    if (issued === undefined) return false;
    const ageSeconds = Math.floor(now / 1000) - issued;
    return ageSeconds >= 0 && ageSeconds < this.#lifetimeSeconds;
  }

  /** What the MAC is over beside the time and the client, for nonces with this cookie. */
  contextOf(cookie: string): Buffer {
    return Buffer.from(`${cookie} ${this.#realm}`);
  }

  /** When, in seconds; undefined if we have not. */
  #issuedTo(client: Endpoint, nonce: string): number | undefined {
    const text = nonce.slice(-stampCharacters);
    const stamp = Buffer.from(text, "base64url");
    if (stamp.length !== stampBytes || stamp.toString("base64url") !== text) return undefined;
    const issued = stamp.readUInt32BE();
    if (!timingSafeEqual(stamp, this.#stamp(issued, client, nonce.slice(0, -stampCharacters)))) return undefined;
    if (this.#known.size >= knownNonces) this.#known.clear();
    this.#known.set(nonce, { client, issued });
    return issued;
  }

  /** Seconds, and the beginning of a MAC over them, family, port and address of the client, and the context. */
  #stamp(seconds: number, { address, port }: Endpoint, cookie: string): Buffer {
    const bytes = parseAddress(address) ?? new Uint8Array();
    const who = Buffer.allocUnsafe(7 + bytes.length);
    who.writeUInt32BE(seconds >>> 0);
    who.writeUInt8(bytes.length === 4 ? 4 : 6, 4);
    who.writeUInt16BE(port, 5);
    who.set(bytes, 7);
    const mac = this.#hmac("sha256", this.#secret, who, this.contextOf(cookie));
    const stamp = mac.copyWithin(4, 0, stampBytes - 4).subarray(0, stampBytes);
    stamp.writeUInt32BE(seconds >>> 0);
    return stamp;
  }
}

const knownNonces = 16_384;

/** Four of time and seven of MAC: short, so that a 401 stays within 2.5 times the request that it answers. */
const stampBytes = 11;
export const stampCharacters = 15;
