// The long-term credential mechanism, as a server applies it (RFC 8489 section 9.2.4).

import type { Challenge, Hmac, Millis } from "../contract.ts";
import type { Attributes } from "../stun/attributes.ts";
import { type IntegrityAlgorithm, isIntact } from "../stun/integrity.ts";
import type { Message } from "../stun/message.ts";
import type { AccessTokens } from "./access-tokens.ts";
import { Challenges } from "./challenges.ts";
import {
  type Authenticate,
  type Credential,
  isGuessable,
  keyOf,
  type MustAsk,
  type UsernameOf,
} from "./credentials.ts";
import type { Guesses } from "./guesses.ts";
import type { Nonces } from "./nonce.ts";
import { choiceOf, type PasswordChoice } from "./password-algorithms.ts";
import { type FiveTuple, type Identity, type Postponement, type Refusal, type Request, refuse } from "./request.ts";

export interface LongTermMechanismOptions {
  readonly realm: string;
  readonly nonces: Nonces;
  readonly authenticate: Authenticate;
  /** Undefined where there are names that it could not find. */
  readonly usernameOf: UsernameOf | undefined;
  readonly mustAsk: MustAsk;
  /** Our own if not said. */
  readonly hmac: Hmac | undefined;
  readonly tokens: AccessTokens | undefined;
  /** Who showed a token for the allocation there. */
  readonly sessionAt: (tuple: FiveTuple) => Identity | undefined;
  /** By which name the allocation there was made. */
  readonly ownerAt: (tuple: FiveTuple) => string | undefined;
  readonly guesses: Guesses;
}

/** Stands in for an unknown user, so that it takes as long as a wrong password. Nobody gets in as nobody. */
const nobody: Credential = { user: "", password: "", until: 0 };

export class LongTermMechanism {
  readonly #realm: string;
  readonly #authenticate: Authenticate;
  readonly #challenges: Challenges;
  readonly #usernameOf: UsernameOf;
  readonly #mustAsk: MustAsk;
  readonly #hmac: Hmac | undefined;
  readonly #tokens: AccessTokens | undefined;
  readonly #sessionAt: LongTermMechanismOptions["sessionAt"];
  readonly #ownerAt: LongTermMechanismOptions["ownerAt"];
  readonly #guesses: Guesses;
  /** Kept for as long as its credential is, so that a key is made once. */
  readonly #known = new WeakMap<Credential, Map<PasswordChoice, Identity>>();

  constructor(options: LongTermMechanismOptions) {
    const { realm, nonces, authenticate, usernameOf, mustAsk, hmac, tokens, sessionAt, ownerAt, guesses } = options;
    this.#realm = realm;
    this.#authenticate = authenticate;
    this.#challenges = new Challenges(realm, nonces, {
      offersAnonymity: usernameOf !== undefined,
      serverName: tokens?.serverName,
    });
    this.#usernameOf = usernameOf ?? (() => undefined);
    this.#mustAsk = mustAsk;
    this.#hmac = hmac;
    this.#tokens = tokens;
    this.#sessionAt = sessionAt;
    this.#ownerAt = ownerAt;
    this.#guesses = guesses;
  }

  /** What a request without integrity is told, for a plane to tell it. */
  challengeFor(nonceSecret: Uint8Array): Challenge {
    return this.#challenges.recipe(nonceSecret);
  }

  /** Who sent the request, or why we do not believe it. In the order of the section. */
  identify(request: Request): Identity | Refusal | Postponement {
    const { now, message, bytes } = request;
    const { realm, nonce, messageIntegrity, messageIntegritySha256 } = message.attributes;

    if (!messageIntegrity && !messageIntegritySha256) return this.#challenges.issue(401, request);
    if (!isNamed(message) || realm === undefined || nonce === undefined) return refuse(400);
    const choice = choiceOf(message);
    if (!choice) return refuse(400);
    if (realm !== this.#realm) return this.#challenges.issue(401, request);

    // The truncation that RFC 8489 section 14.6 allows is for usages to permit, and TURN does not.
    if (messageIntegritySha256 && messageIntegritySha256.length !== 32) return this.#challenges.issue(401, request);
    const username = this.#nameOf(message.attributes);
    const algorithm = messageIntegritySha256 ? "sha256" : "sha1";
    const candidates = this.#holderOf(request, username, algorithm) ?? this.#candidates(username, now, choice);
    if (candidates === "to be asked") return this.#ask(username ?? "", request, nonce);
    const identity = candidates.find(({ key }) => isIntact(bytes, key, algorithm, this.#hmac));
    if (!identity || identity.credential === nobody || this.#isGuessedAtTooOften(identity, request, nonce)) {
      this.#countGuess(candidates, request, nonce);
      return { ...this.#challenges.issue(401, request), claimed: username };
    }

    if (this.#challenges.isMet(request, nonce)) return identity;
    return { ...this.#challenges.issue(438, request), by: identity };
  }

  /** Who has an allocation is none who guesses, and does not lose it to one. */
  #isGuessedAtTooOften({ credential, username }: Identity, { now, tuple }: Request, nonce: string): boolean {
    if (!isGuessable(credential)) return false;
    const guess = () => ({ from: tuple.from, username, isThere: this.#challenges.isFresh(nonce, now, tuple.from) });
    return this.#guesses.areTooMany(guess, now) && this.#ownerAt(tuple) !== username;
  }

  /** At a name that there is. */
  #countGuess(candidates: readonly Identity[], { now, tuple }: Request, nonce: string): void {
    const guessed = candidates.find(({ credential }) => credential !== nobody && isGuessable(credential));
    if (!guessed) return;
    const isThere = this.#challenges.isFresh(nonce, now, tuple.from);
    this.#guesses.count({ from: tuple.from, username: guessed.username, isThere }, now);
  }

  /** A good nonce shows that the client is where it says, so that nobody has questions asked in another's name. */
  #ask(username: string, request: Request, nonce: string): Refusal | Postponement {
    if (!this.#challenges.isMet(request, nonce)) return this.#challenges.issue(438, request);
    const { tuple, bytes } = request;
    const { on, via, from } = tuple;
    return { postponed: [{ do: "ask", username, again: { is: "datagram", on, via, from, bytes } }] };
  }

  /**
   * Who has a token (RFC 7635): shown with the request, or before for the allocation that is there. Undefined where there
   * is neither, an empty list where there is a token and it is no good.
   */
  #holderOf(
    { now, tuple, message }: Request,
    kid: string | undefined,
    algorithm: IntegrityAlgorithm,
  ): Identity[] | undefined {
    const { accessToken } = message.attributes;
    if (!this.#tokens || kid === undefined) return undefined;
    if (accessToken) return this.#tokens.identify(kid, accessToken, algorithm, now);
    const session = this.#tokens.knows(kid) ? this.#sessionAt(tuple) : undefined;
    return session && session.credential.until > now ? [{ ...session, integrity: algorithm }] : undefined;
  }

  #nameOf({ username, userhash }: Attributes): string | undefined {
    if (username !== undefined || !userhash) return username;
    return this.#usernameOf(userhash);
  }

  #candidates(username: string | undefined, now: Millis, choice: PasswordChoice): Identity[] | "to be asked" {
    if (username !== undefined && this.#mustAsk(username, now)) return "to be asked";
    const credentials = username === undefined ? [] : this.#authenticate(username, now);
    const [name, those] = username === undefined || credentials.length === 0 ? ["", [nobody]] : [username, credentials];
    const identities: Identity[] = [];
    for (const credential of those) {
      const identity = this.#identityOf(name, credential, choice);
      if (identity) identities.push(identity);
    }
    return identities;
  }

  /** Undefined where we have no key of this kind. */
  #identityOf(username: string, credential: Credential, choice: PasswordChoice): Identity | undefined {
    const ofCredential = this.#known.get(credential) ?? new Map<PasswordChoice, Identity>();
    const known = ofCredential.get(choice);
    if (known?.username === username) return known;
    const key = keyOf(credential, username, this.#realm, choice.hash);
    if (!key) return undefined;
    const identity = { username, credential, key, integrity: choice.integrity };
    this.#known.set(credential, ofCredential.set(choice, identity));
    return identity;
  }
}

function isNamed({ attributes: { username, userhash } }: Message): boolean {
  return username !== undefined || userhash !== undefined;
}
