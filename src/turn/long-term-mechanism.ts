// The long-term credential mechanism, as a server applies it (RFC 8489 section 9.2.4).

import { isIntact } from "../stun/integrity.ts";
import { longTermKey, userhash } from "../stun/keys.ts";
import { Challenges } from "./challenge.ts";
import type { Authenticate, Credential } from "./credentials.ts";
import type { Nonces } from "./nonce.ts";
import { choiceOf, type PasswordChoice } from "./password-algorithms.ts";
import { type Identity, type Refusal, type Request, refuse } from "./request.ts";

export interface LongTermMechanismOptions {
  readonly realm: string;
  readonly nonces: Nonces;
  readonly authenticate: Authenticate;
  /** Every name there is, or undefined where that cannot be known. */
  readonly usernames: readonly string[] | undefined;
}

/** Stands in for an unknown user, so that it takes as long as a wrong password. Nobody gets in as nobody. */
const nobody: Credential = { user: "", password: "", until: 0 };

export class LongTermMechanism {
  readonly #realm: string;
  readonly #authenticate: Authenticate;
  readonly #challenges: Challenges;
  /** By USERHASH. */
  readonly #usernames: ReadonlyMap<string, string>;
  /** Kept for as long as its credential is, so that a key is made once. */
  readonly #identities = new WeakMap<Credential, Map<PasswordChoice, Identity>>();

  constructor({ realm, nonces, authenticate, usernames }: LongTermMechanismOptions) {
    this.#realm = realm;
    this.#authenticate = authenticate;
    this.#challenges = new Challenges(realm, nonces, { offersAnonymity: usernames !== undefined });
    this.#usernames = new Map(usernames?.map((name) => [keyOf(userhash(name, realm)), name]));
  }

  /** Who sent the request, or why we do not believe it. In the order of the section. */
  identify(request: Request): Identity | Refusal {
    const { now, message, bytes } = request;
    const { userhash, realm, nonce, messageIntegrity, messageIntegritySha256 } = message.attributes;
    const { username = userhash && (this.#usernames.get(keyOf(userhash)) ?? unknownName) } = message.attributes;

    if (!messageIntegrity && !messageIntegritySha256) return this.#challenges.issue(401, request);
    if (username === undefined || realm === undefined || nonce === undefined) return refuse(400);
    const choice = choiceOf(message);
    if (!choice) return refuse(400);
    if (realm !== this.#realm) return this.#challenges.issue(401, request);

    // The truncation that RFC 8489 section 14.6 allows is for usages to permit, and TURN does not.
    if (messageIntegritySha256 && messageIntegritySha256.length !== 32) return this.#challenges.issue(401, request);
    const algorithm = messageIntegritySha256 ? "sha256" : "sha1";
    const credentials = this.#authenticate(username, now);
    const candidates = credentials.length > 0 ? credentials : [nobody];
    const identity = candidates
      .map((credential) => this.#identity(username, credential, choice))
      .find(({ key }) => isIntact(bytes, key, algorithm));
    if (!identity || identity.credential === nobody) return this.#challenges.issue(401, request);

    return this.#challenges.isMet(request, nonce) ? identity : this.#challenges.issue(438, request);
  }

  #identity(username: string, credential: Credential, choice: PasswordChoice): Identity {
    const ofCredential = this.#identities.get(credential) ?? new Map<PasswordChoice, Identity>();
    const known = ofCredential.get(choice);
    if (known?.username === username) return known;
    const key = longTermKey(username, this.#realm, credential.password, choice.hash);
    const identity = { username, credential, key, integrity: choice.integrity };
    this.#identities.set(credential, ofCredential.set(choice, identity));
    return identity;
  }
}

function keyOf(hash: Uint8Array): string {
  return Buffer.from(hash).toString("latin1");
}
