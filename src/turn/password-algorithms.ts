// Which hash makes the key of a long-term credential: what we offer, and what a request chose of it (RFC 8489
// sections 9.2.4, 14.11, 14.12 and 18.5).

import { attributeTable } from "../stun/attributes.ts";
import type { PasswordAlgorithm } from "../stun/codecs.ts";
import type { IntegrityAlgorithm } from "../stun/integrity.ts";
import type { Message } from "../stun/message.ts";

export interface PasswordChoice {
  readonly hash: "md5" | "sha256";
  /** What protects the answer. */
  readonly integrity: IntegrityAlgorithm;
}

/** By number in the IANA registry, the one we prefer first. */
const choices: ReadonlyMap<number, PasswordChoice> = new Map([
  [2, { hash: "sha256", integrity: "sha256" }],
  [1, { hash: "md5", integrity: "sha256" }],
]);

/** Of a client of RFC 5389, which knows of no choice. */
const noChoice: PasswordChoice = { hash: "md5", integrity: "sha1" };

export const offeredAlgorithms: readonly PasswordAlgorithm[] = [...choices.keys()].map((algorithm) => ({
  algorithm,
  parameters: new Uint8Array(),
}));

/**
 * What a request chose, or undefined if it is not from our list or the list was tampered with. It is held to this
 * whatever its nonce says: there is no good reason for either attribute without our offer.
 */
export function choiceOf({ attributes, types }: Message): PasswordChoice | undefined {
  const { passwordAlgorithms: list, passwordAlgorithm: chosen } = attributes;
  const isSilent = !types.includes(attributeTable.passwordAlgorithms.type) && !types.includes(chosenType);
  if (isSilent) return noChoice;
  if (!chosen || !list || !isOurs(list)) return undefined;
  return chosen.parameters.length === 0 ? choices.get(chosen.algorithm) : undefined;
}

const chosenType = attributeTable.passwordAlgorithm.type;

function isOurs(list: readonly PasswordAlgorithm[]): boolean {
  return (
    list.length === offeredAlgorithms.length &&
    list.every((each, i) => each.algorithm === offeredAlgorithms[i]?.algorithm && each.parameters.length === 0)
  );
}
