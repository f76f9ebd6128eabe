// Credentials over HTTP, for the listeners that are really open.

import { strict as assert } from "node:assert";
import { startCredentialsServer } from "../accounts/credentials-http.ts";
import type { Config } from "../config/config.ts";
import type { Millis } from "../contract.ts";
import type { HttpListener } from "../http-listener.ts";
import { mintCredential } from "../turn/credentials.ts";
import type { Door } from "../turn/uri.ts";
import { urisOf } from "./doors.ts";

/** Rejects with `Unavailable` when the address or port is not to be had. */
export async function openCredentials(
  { credentialsHttp, relay, secret: [secret] }: Config,
  doorsAs: (host: string | undefined) => readonly Door[],
  now: () => Millis,
): Promise<HttpListener | undefined> {
  if (!credentialsHttp) return undefined;
  assert(secret !== undefined, "credentials over HTTP need a shared secret to be made with");
  const { listen: at, key, host, credentialLifetimeSeconds: lifetimeSeconds } = credentialsHttp;
  const mint = (user: string, untilSeconds: number) => mintCredential(secret, user, untilSeconds);
  return await startCredentialsServer({
    at,
    key,
    lifetimeSeconds,
    uris: () => urisOf(doorsAs(host), relay),
    mint,
    now,
  });
}
