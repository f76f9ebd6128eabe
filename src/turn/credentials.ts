// Who may use the relay: static users, and names that a shared secret vouches for until they expire
// (draft-uberti-behave-turn-rest-00 section 2.2).

import { createHmac } from "node:crypto";
import type { Millis } from "../contract.ts";

export interface Credential {
  /** What quotas count: a static name, or the user part of a name that expires. */
  readonly user: string;
  readonly password: string;
  /** Infinity for static users. */
  readonly until: Millis;
}

/** The credentials that a name may stand for, none of them expired; a request must prove that it knows one of them. */
export type Authenticate = (username: string, now: Millis) => readonly Credential[];

/** A static user's own password comes first; then each secret, so that secrets can be rotated. */
export function authenticator(sources: {
  readonly users: ReadonlyMap<string, string>;
  readonly secrets: readonly string[];
}): Authenticate {
  return (username, now) => {
    const candidates: Credential[] = [];
    const password = sources.users.get(username);
    if (password !== undefined) candidates.push({ user: username, password, until: Number.POSITIVE_INFINITY });
    const expiring = parseExpiringName(username);
    if (!expiring || expiring.until <= now) return candidates;
    for (const secret of sources.secrets) candidates.push({ ...expiring, password: passwordOf(secret, username) });
    return candidates;
  };
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
