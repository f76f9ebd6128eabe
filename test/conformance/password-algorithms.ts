// The client's side of what is new in the long-term mechanism of RFC 8489 (sections 9.2 and 18.1): reading a nonce cookie
// and an offer of password algorithms, and choosing from it, rightly or wrongly.

import type { Bench } from "./bench.ts";
import type { Challenge, Client } from "./client.ts";
import { must, notSupported } from "./requirement.ts";
import * as wire from "./wire.ts";

const { attribute } = wire;
export const md5 = 1;
export const sha256 = 2;

/** Section 18.1: bit 0 is the most significant of the first of three bytes. */
export const passwordAlgorithmsBit = 0x80;
export const usernameAnonymityBit = 0x40;

/** A request has SOFTWARE (section 6.1), and is then not so short that a server may fear to amplify it. */
const software = wire.attributeOf(attribute.software, "conformance suite of Sluice");

/** The 24 feature bits of a nonce, or `undefined` when it has no nonce cookie (section 9.2). */
export function featuresOf(nonce: Buffer): Buffer | undefined {
  const [, base64] = /^obMatJos2([A-Za-z0-9+/]{4})/.exec(nonce.toString("latin1")) ?? [];
  return base64 === undefined ? undefined : Buffer.from(base64, "base64");
}

export async function features(client: Client): Promise<{ challenge: Challenge; bits: Buffer }> {
  const challenge = await client.askForChallenge(software);
  client.startFrom(challenge);
  const bits = featuresOf(challenge.nonce);
  return { challenge, bits: bits ?? notSupported("the nonce has no cookie: a server of RFC 5389") };
}

export interface Offer {
  readonly client: Client;
  readonly challenge: Challenge;
  /** PASSWORD-ALGORITHMS as it came. */
  readonly list: Buffer;
  readonly algorithms: readonly number[];
}

export async function offer(bench: Bench): Promise<Offer> {
  const client = await bench.client();
  const { challenge, bits } = await features(client);
  if (((bits[0] ?? 0) & passwordAlgorithmsBit) === 0) notSupported("password algorithms are not offered");
  const list = wire.find(challenge.reply, attribute.passwordAlgorithms)?.value;
  must(list, "the bit is set and PASSWORD-ALGORITHMS is missing");
  return { client, challenge, list, algorithms: algorithmsIn(list) };
}

/** Reads the list; fails when its lengths do not add up. */
function algorithmsIn(list: Buffer): number[] {
  const found: number[] = [];
  for (let at = 0; at < list.length; ) {
    must(at + 4 <= list.length, "PASSWORD-ALGORITHMS ends within an entry");
    found.push(list.readUInt16BE(at));
    at += 4 + wire.padded(list.readUInt16BE(at + 2));
    must(at <= list.length, "parameters overrun PASSWORD-ALGORITHMS");
  }
  return found;
}

export interface Choice {
  readonly algorithm?: number;
  readonly list?: Uint8Array;
  /** In place of USERNAME. */
  readonly userhash?: Uint8Array;
  readonly nonce?: Uint8Array;
  readonly keyDigest?: "md5" | "sha256";
}

/** What a client that knows every algorithm chooses: the first. */
export function firstOf({ algorithms, list }: Offer): Choice {
  return { algorithm: algorithms[0] ?? md5, list };
}

/** An authenticated Refresh that chooses as told, up to but without its integrity; and the key. */
export async function chosen({ client, challenge }: Offer, choice: Choice): Promise<{ bytes: Buffer; key: Buffer }> {
  const { username, password } = client.credential;
  const user = choice.userhash
    ? wire.attributeOf(attribute.userhash, choice.userhash)
    : wire.attributeOf(attribute.username, username);
  const attributes = [
    user,
    wire.attributeOf(attribute.realm, challenge.realm),
    wire.attributeOf(attribute.nonce, choice.nonce ?? challenge.nonce),
  ];
  if (choice.list) attributes.push(wire.attributeOf(attribute.passwordAlgorithms, choice.list));
  if (choice.algorithm !== undefined) {
    attributes.push(wire.attributeOf(attribute.passwordAlgorithm, Buffer.of(0, choice.algorithm, 0, 0)));
  }
  const digest = choice.keyDigest ?? (choice.algorithm === sha256 ? "sha256" : "md5");
  return {
    bytes: wire.message(wire.method.refresh | wire.messageClass.request, attributes),
    key: wire.longTermKey(username, challenge.realm, password, digest),
  };
}

export async function answer(terms: Offer, choice: Choice): Promise<wire.Reading> {
  const { bytes, key } = await chosen(terms, choice);
  return terms.client.transact(wire.withIntegrity(bytes, key, "sha256"));
}
