// What a client is told that has not shown yet who it is: realm, nonce, and what there is to choose from (RFC 8489
// section 9.2.4).
//
// The offer of password algorithms makes a 401 about 90 bytes long. A request over UDP that is too small for that, and
// may have come from anybody, is answered as RFC 5389 has it, in at most 70. That takes SHA-256 from clients whose first
// Allocate has REQUESTED-TRANSPORT and nothing else; those that we know of, browsers, would not choose it anyway. Whoever
// makes a request smaller on its way, so that the offer is not made, is found out by the next Allocate, which its
// integrity protects and which has the same attributes (section 16.1.3).

import assert from "node:assert";
import type { Challenge, ChallengeAnswer, Endpoint, Millis } from "../contract.ts";
import type { Attributes } from "../stun/attributes.ts";
import { padded } from "../stun/codecs.ts";
import { encode } from "../stun/message.ts";
import { Method } from "../stun/methods.ts";
import {
  type Nonces,
  nonceCookie,
  passwordAlgorithmsFeature,
  stampCharacters,
  usernameAnonymityFeature,
} from "./nonce.ts";
import { offeredAlgorithms } from "./password-algorithms.ts";
import { growthLimit } from "./reply.ts";
import { type Refusal, type Request, refuse } from "./request.ts";

export class Challenges {
  readonly #realm: string;
  readonly #nonces: Nonces;
  readonly #cookie: string;
  readonly #authorization: Attributes;
  /** Of a 401 with an offer, and of one that only says who gives out tokens. */
  readonly #offerBytes: number;
  readonly #authorizationBytes: number;

  /** `serverName` is for who has to get a token for us. */
  constructor(
    realm: string,
    nonces: Nonces,
    options: { readonly offersAnonymity: boolean; readonly serverName: string | undefined },
  ) {
    this.#realm = realm;
    this.#nonces = nonces;
    const features = passwordAlgorithmsFeature | (options.offersAnonymity ? usernameAnonymityFeature : 0);
    this.#cookie = nonceCookie(features);
    this.#authorization = options.serverName === undefined ? {} : { thirdPartyAuthorization: options.serverName };
    const nobody = { address: "0.0.0.0", port: 0 };
    this.#offerBytes = sizeOf(this.#offer(0, nobody));
    this.#authorizationBytes = sizeOf({ ...this.#bare(0, nobody), ...this.#authorization });
  }

  issue(code: 401 | 438, request: Request): Refusal {
    const { now, tuple, bytes } = request;
    if (this.#hasRoomForOffer(request, bytes.length)) return refuse(code, this.#offer(now, tuple.from));
    const saysWho = hasRoomFor(this.#authorizationBytes, request, bytes.length);
    return refuse(code, { ...this.#bare(now, tuple.from), ...(saysWho ? this.#authorization : {}) });
  }

  /** Whether a nonce is one that a client there was given lately. */
  isFresh(nonce: string, now: Millis, client: Endpoint): boolean {
    return this.#nonces.isFresh(nonce, now, client);
  }

  /** What `issue` does for first Allocates over UDP, for a plane to do in its place. */
  recipe(secret: Uint8Array): Challenge {
    const offered = this.#answerWith((stamp) => this.#offering(this.#cookie + stamp), this.#cookie);
    const bare = this.#answerWith((stamp) => this.#naming(stamp), "");
    const authorizing = this.#answerWith((stamp) => ({ ...this.#naming(stamp), ...this.#authorization }), "");
    return { secret, answers: [offered, authorizing, bare] };
  }

  #answerWith(challenge: (stamp: string) => Attributes, cookie: string): ChallengeAnswer {
    const [bytes, other] = ["A", "B"].map((letter) => bytesOf(challenge(letter.repeat(stampCharacters))));
    assert(bytes && other);
    const stampAt = bytes.findIndex((byte, i) => byte !== other[i]);
    return { bytes, stampAt, context: this.#nonces.contextOf(cookie) };
  }

  /** Whether the nonce of an authentic request is good, and from the challenge that its client should have had. */
  isMet(request: Request, nonce: string): boolean {
    const { now, tuple, message } = request;
    if (!this.#nonces.isFresh(nonce, now, tuple.from)) return false;
    if (nonce.startsWith(this.#cookie) || message.method !== Method.allocate) return true;
    return !this.#hasRoomForOffer(request, firstBytes(request));
  }

  #offer(now: Millis, client: Endpoint): Attributes {
    return this.#offering(this.#nonces.issue(now, client, this.#cookie));
  }

  #bare(now: Millis, client: Endpoint): Attributes {
    return this.#naming(this.#nonces.issue(now, client, ""));
  }

  #offering(nonce: string): Attributes {
    return { ...this.#naming(nonce), passwordAlgorithms: offeredAlgorithms, ...this.#authorization };
  }

  #naming(nonce: string): Attributes {
    return { realm: this.#realm, nonce };
  }

  #hasRoomForOffer(request: Request, bytes: number): boolean {
    return hasRoomFor(this.#offerBytes, request, bytes);
  }
}

/** Of a 401. */
function sizeOf(challenge: Attributes): number {
  return bytesOf(challenge).length;
}

function bytesOf(challenge: Attributes): Uint8Array {
  const attributes = { errorCode: { code: 401, reason: "" }, ...challenge };
  return encode({ class: "error", method: Method.allocate, transactionId: new Uint8Array(12), attributes });
}

function hasRoomFor(answerBytes: number, { tuple, message }: Request, bytes: number): boolean {
  return tuple.on.transport !== "udp" || answerBytes <= bytes * growthLimit(message.method);
}

/** Bytes that a request must have had before it answered a challenge. A FINGERPRINT may have been added on its way. */
function firstBytes({ message, bytes }: Request): number {
  const { username, userhash, realm, nonce, accessToken, messageIntegrity, messageIntegritySha256, fingerprint } =
    message.attributes;
  const answers = [username, userhash, realm, nonce, accessToken, messageIntegrity, messageIntegritySha256];
  const sizes = answers.map((value) => (value === undefined ? 0 : 4 + padded(Buffer.byteLength(value))));
  return sizes.reduce((left, size) => left - size, bytes.length - (fingerprint === undefined ? 0 : 8));
}
