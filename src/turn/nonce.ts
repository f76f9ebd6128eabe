// Stateless nonces (RFC 8489 section 9.2.4): the time of issue and a MAC over it, the client's transport address and the
// realm. There is nothing to store, so nothing to flood. They carry no nonce cookie (section 9.2): it would say which
// security features we have, and we have none of them yet.

import { createHmac, timingSafeEqual } from "node:crypto";
import type { Endpoint, Millis } from "../contract.ts";

export class Nonces {
  readonly #secret: Uint8Array;
  readonly #realm: string;
  readonly #lifetimeSeconds: number;

  constructor(secret: Uint8Array, realm: string, lifetimeSeconds: number) {
    this.#secret = secret;
    this.#realm = realm;
    this.#lifetimeSeconds = lifetimeSeconds;
  }

  /** 16 characters. One client gets the same again within the same second. */
  issue(now: Millis, client: Endpoint): string {
    return this.#nonce(Math.floor(now / 1000), client).toString("base64url");
  }

  /** Whether we issued it, to this client, and not too long ago. */
  isFresh(nonce: string, now: Millis, client: Endpoint): boolean {
    const bytes = Buffer.from(nonce, "base64url");
    if (bytes.length !== nonceBytes || bytes.toString("base64url") !== nonce) return false;
    const issued = bytes.readUInt32BE();
    if (!timingSafeEqual(bytes, this.#nonce(issued, client))) return false;
    const ageSeconds = Math.floor(now / 1000) - issued;
    return ageSeconds >= 0 && ageSeconds < this.#lifetimeSeconds;
  }

  #nonce(seconds: number, client: Endpoint): Buffer {
    const nonce = Buffer.alloc(nonceBytes);
    nonce.writeUInt32BE(seconds >>> 0);
    createHmac("sha256", this.#secret)
      .update(`${seconds >>> 0} ${client.address} ${client.port} ${this.#realm}`)
      .digest()
      .copy(nonce, 4, 0, nonceBytes - 4);
    return nonce;
  }
}

/** Four of time and eight of MAC: short, so that a 401 stays within 2.5 times the smallest Allocate request. */
const nonceBytes = 12;
