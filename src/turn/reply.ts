// Answers as bytes (RFC 8489 section 6.3.1.1), small where anyone at all may have asked.

import type { Hmac } from "../contract.ts";
import { type Attributes, attributeTable } from "../stun/attributes.ts";
import { reasonPhrases } from "../stun/error-codes.ts";
import { encode, type Protection } from "../stun/message.ts";
import { Method } from "../stun/methods.ts";
import type { Grant, Identity, Refusal, Request } from "./request.ts";

/**
 * The answer to a request, protected by the key of whoever sent it. Without one the sender may be anybody, and its
 * address a victim's: then there is no reason phrase, and a FINGERPRINT only where the reply stays small.
 */
export function reply(request: Request, outcome: Grant | Refusal, identity?: Identity, hmac?: Hmac): Uint8Array {
  const { message, bytes } = request;
  const draft = {
    class: "refused" in outcome ? "error" : "success",
    method: message.method,
    transactionId: message.transactionId,
    classic: message.classic,
    attributes: attributesOf(outcome, identity !== undefined),
  } as const;
  const protection: Protection = { key: identity?.key, algorithm: identity?.integrity, hmac };
  if (!message.types.includes(attributeTable.fingerprint.type)) return encode(draft, protection);
  const printed = encode(draft, { ...protection, fingerprint: true });
  const isSmall = printed.length <= bytes.length * growthLimit(message.method);
  return identity || isSmall ? printed : encode(draft);
}

/** How many times a request's bytes an answer to an unknown sender may have, and still be as useful as it must. */
export function growthLimit(method: number): number {
  return method === Method.binding ? 1.6 : 2.5;
}

function attributesOf(outcome: Grant | Refusal, isAuthentic: boolean): Attributes {
  if ("granted" in outcome) return outcome.granted;
  const reason = isAuthentic ? reasonPhrases[outcome.refused] : "";
  return { errorCode: { code: outcome.refused, reason }, ...outcome.attributes };
}
