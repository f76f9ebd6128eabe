// The long-term credential mechanism, as a server applies it (RFC 8489 section 9.2.4).

import { isIntact } from "../stun/integrity.ts";
import { type Authenticate, type Credential, keyOf } from "./credentials.ts";
import type { Nonces } from "./nonce.ts";
import { type Identity, type Refusal, type Request, refuse } from "./request.ts";

export class LongTermMechanism {
  readonly #realm: string;
  readonly #nonces: Nonces;
  readonly #authenticate: Authenticate;
  /** Kept for as long as its credential is, so that a key is made once. */
  readonly #identities = new WeakMap<Credential, Identity>();
  /** Stands in for an unknown user, so that it takes as long as a wrong password. Nobody gets in as nobody. */
  readonly #nobody: Identity;

  constructor(realm: string, nonces: Nonces, authenticate: Authenticate) {
    this.#realm = realm;
    this.#nonces = nonces;
    this.#authenticate = authenticate;
    this.#nobody = this.#identity("", { user: "", password: "", until: 0 });
  }

  /** Who sent the request, or why we do not believe it. In the order of the section. */
  identify(request: Request): Identity | Refusal {
    const { now, tuple, bytes } = request;
    const { username, realm, nonce, messageIntegrity, messageIntegritySha256 } = request.message.attributes;

    if (!messageIntegrity && !messageIntegritySha256) return this.#challenge(401, request);
    if (username === undefined || realm === undefined || nonce === undefined) return refuse(400);
    if (realm !== this.#realm) return this.#challenge(401, request);

    // The truncation that RFC 8489 section 14.6 allows is for usages to permit, and TURN does not.
    if (messageIntegritySha256 && messageIntegritySha256.length !== 32) return this.#challenge(401, request);
    const algorithm = messageIntegritySha256 ? "sha256" : "sha1";
    const credentials = this.#authenticate(username, now);
    const candidates = credentials.map((credential) => this.#identity(username, credential));
    const identity = (candidates.length > 0 ? candidates : [this.#nobody]).find(({ key }) =>
      isIntact(bytes, key, algorithm),
    );
    if (!identity || identity === this.#nobody) return this.#challenge(401, request);

    if (!this.#nonces.isFresh(nonce, now, tuple.from)) return this.#challenge(438, request);
    return identity;
  }

  #identity(username: string, credential: Credential): Identity {
    const known = this.#identities.get(credential);
    if (known?.username === username) return known;
    const identity = { username, credential, key: keyOf(credential, username, this.#realm, "md5") };
    this.#identities.set(credential, identity);
    return identity;
  }

  #challenge(code: 401 | 438, { now, tuple }: Request): Refusal {
    return refuse(code, { realm: this.#realm, nonce: this.#nonces.issue(now, tuple.from) });
  }
}
