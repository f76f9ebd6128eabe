// The long-term credential mechanism, as a server checks it (RFC 8489 section 9.2.4).

import type { Millis } from "../contract.ts";
import { isIntact } from "../stun/integrity.ts";
import { longTermKey } from "../stun/keys.ts";
import type { Authenticate, Credential } from "./credentials.ts";
import type { Nonces } from "./nonce.ts";
import { type Identity, type Refusal, type Request, refuse } from "./request.ts";

export interface Doorkeeper {
  readonly realm: string;
  readonly nonces: Nonces;
  readonly authenticate: Authenticate;
}

/** Stands in for an unknown user, so that it takes as long as a wrong password. Nobody gets in with it. */
const nobody: Credential = { user: "", password: "", until: 0 };

/** Who sent the request, or why we do not believe it. In the order of the section. */
export function identify(request: Request, door: Doorkeeper): Identity | Refusal {
  const { now, tuple, bytes } = request;
  const { username, realm, nonce, messageIntegrity, messageIntegritySha256 } = request.message.attributes;

  if (!messageIntegrity && !messageIntegritySha256) return challenge(401, request, door);
  if (username === undefined || realm === undefined || nonce === undefined) return refuse(400);
  if (realm !== door.realm) return challenge(401, request, door);

  // The truncation that RFC 8489 section 14.6 allows is for usages to permit, and TURN does not.
  if (messageIntegritySha256 && messageIntegritySha256.length !== 32) return challenge(401, request, door);
  const algorithm = messageIntegritySha256 ? "sha256" : "sha1";
  const identity = candidates(username, door, now).find(({ key }) => isIntact(bytes, key, algorithm));
  if (!identity || identity.credential === nobody) return challenge(401, request, door);

  if (!door.nonces.isFresh(nonce, now, tuple.from)) return challenge(438, request, door);
  return identity;
}

function candidates(username: string, door: Doorkeeper, now: Millis): Identity[] {
  const credentials = door.authenticate(username, now);
  return (credentials.length > 0 ? credentials : [nobody]).map((credential) => ({
    username,
    credential,
    key: longTermKey(username, door.realm, credential.password),
  }));
}

function challenge(code: 401 | 438, { now, tuple }: Request, door: Doorkeeper): Refusal {
  return refuse(code, { realm: door.realm, nonce: door.nonces.issue(now, tuple.from) });
}
