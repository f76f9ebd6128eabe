// Who may use the relay: static users, and names that a shared secret vouches for until they expire
// (draft-uberti-behave-turn-rest-00 section 2.2).

import { createHmac } from "node:crypto";
import type { Millis } from "../contract.ts";
import { type LongTermKeys, longTermKey, userhash } from "../stun/keys.ts";
import type { AlternateServer } from "./alternates.ts";

/** Holds the password, or where nobody but the user knows that, the keys that were made of it. */
export type Credential = {
  /** What quotas count: a static name, or the user part of a name that expires. */
  readonly user: string;
  /** Infinity for static users. */
  readonly until: Millis;
  /** Who should serve this user instead of us. */
  readonly alternate?: AlternateServer | undefined;
} & (
  | { readonly password: string; readonly keys?: undefined }
  | { readonly keys: LongTermKeys; readonly password?: undefined }
);

/** The credentials that a name may stand for, none of them expired; a request must prove that it knows one of them. */
export type Authenticate = (username: string, now: Millis) => readonly Credential[];

/** The name that a USERHASH stands for. */
export type UsernameOf = (userhash: Uint8Array) => string | undefined;

/** Whether somebody outside is to be asked about a name, before a request is judged by what is known of it. */
export type MustAsk = (username: string, now: Millis) => boolean;

/** Names that secrets vouched for, and were asked about last. A call asks every few minutes. */
const rememberedNames = 16_384;

/**
 * A static user's own password comes first; then each secret, so that secrets can be rotated. The same credential is
 * the same object for as long as it is remembered, so that keys can be kept with it.
 */
export function authenticator(sources: {
  readonly users: ReadonlyMap<string, string>;
  readonly secrets: readonly string[];
}): Authenticate {
  const users = new Map(
    [...sources.users].map(([user, password]) => [user, { user, password, until: Number.POSITIVE_INFINITY }]),
  );
  const remembered = new Map<string, readonly Credential[]>();

  function vouchedFor(username: string): readonly Credential[] {
    const known = remembered.get(username);
    if (known) return known;
    const name = parseExpiringName(username);
    if (!name) return [];
    const credentials = sources.secrets.map((secret) => ({ ...name, password: passwordOf(secret, username) }));
    if (remembered.size >= rememberedNames) remembered.clear();
    remembered.set(username, credentials);
    return credentials;
  }

  return (username, now) => {
    const vouched = vouchedFor(username).filter((credential) => credential.until > now);
    const user = users.get(username);
    return user ? [user, ...vouched] : vouched;
  };
}

/**
 * Finds static users by their hash. It is no use beside shared secrets: a name that those vouch for is not known before
 * it comes, and its hash cannot be turned back.
 */
export function usernamesByHash(users: Iterable<string>, realm: string): UsernameOf {
  const textOf = (userhash: Uint8Array) => Buffer.from(userhash).toString("latin1");
  const names = new Map([...users].map((name) => [textOf(userhash(name, realm)), name]));
  return (hash) => names.get(textOf(hash));
}

/** The key of a request's sender; undefined where we have keys, but none for this algorithm. */
export function keyOf<Algorithm extends keyof LongTermKeys>(
  credential: Credential,
  username: string,
  realm: string,
  algorithm: Algorithm,
): LongTermKeys[Algorithm] {
  if (credential.keys) return credential.keys[algorithm];
  return longTermKey(username, realm, credential.password, algorithm);
}

/** Whoever any of these knows. */
export function authenticatingBy(...sources: readonly Authenticate[]): Authenticate {
  return (username, now) => sources.flatMap((authenticate) => authenticate(username, now));
}

/** Username and password that a server with the same secret accepts until `untilSeconds` of Unix time. */
export function mintCredential(
  secret: string,
  user: string,
  untilSeconds: number,
): { username: string; password: string } {
  const username = `${Math.trunc(untilSeconds)}:${user}`;
  return { username, password: passwordOf(secret, username) };
}

/** Whether its password may be one that somebody chose. Those that secrets vouch for are 160 bits of a HMAC. */
export function isGuessable({ until, keys }: Credential): boolean {
  return keys !== undefined || until === Number.POSITIVE_INFINITY;
}

/** What quotas would count, were it who it says. */
export function userOf(username: string): string {
  return parseExpiringName(username)?.user ?? username;
}

function passwordOf(secret: string, username: string): string {
  return createHmac("sha1", secret).update(username).digest("base64");
}

/**
 * `expiry:user`, or the expiry alone, which is then the user as well. The expiry is Unix seconds in at most ten decimal
 * digits: eleven would be past the year 5000, more likely milliseconds, and never expire.
 */
function parseExpiringName(username: string): { user: string; until: Millis } | undefined {
  const [, expiry, user] = /^([1-9][0-9]{0,9})(?::(.*))?$/s.exec(username) ?? [];
  return expiry === undefined ? undefined : { user: user || username, until: Number(expiry) * 1000 };
}
