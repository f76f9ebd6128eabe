// A key that seals access tokens, as it is written, read into what the TURN server takes.

import { z } from "zod";
import { type TokenAlgorithm, tokenCiphers } from "../stun/access-token.ts";
import type { TokenKey } from "../turn/access-tokens.ts";

interface WrittenTokenKey {
  readonly kid: string;
  /** Base64. */
  readonly key: string;
  readonly algorithm: TokenAlgorithm;
  /** Unix time. */
  readonly notBefore?: number;
  readonly lifetimeSeconds?: number;
}

/** For `transform`. A mistake says nothing of the key. */
export function tokenKey(written: WrittenTokenKey, context: z.RefinementCtx): TokenKey {
  const { kid, algorithm, notBefore = 0, lifetimeSeconds = Number.POSITIVE_INFINITY } = written;
  const key = Buffer.from(written.key, "base64");
  const { keyBytes } = tokenCiphers[algorithm];
  const isRight =
    key.length === keyBytes && key.toString("base64").replace(/=+$/, "") === written.key.replace(/=+$/, "");
  if (isRight) return { kid, key, algorithm, from: notBefore * 1000, until: (notBefore + lifetimeSeconds) * 1000 };
  context.addIssue({
    code: "custom",
    path: ["key"],
    message: `expected ${keyBytes} bytes in base64, for ${algorithm}`,
  });
  return z.NEVER;
}
