// Tokens of somebody else's authorization server: turnutils_oauth seals them, we open them.

import { describe, expect, test } from "vitest";
import { openAccessToken, type TokenAlgorithm } from "../../src/stun/access-token.ts";
import { needs } from "./needs.ts";
import { run } from "./program.ts";

const serverName = "relay.example.org";
const sessionKey = Buffer.from("12345678901234567890");
const madeAtSeconds = 1_800_000_000;

async function tokenOf(algorithm: TokenAlgorithm, key: Uint8Array): Promise<Buffer> {
  const options = {
    "server-name": serverName,
    "auth-key-id": "north",
    "auth-key": Buffer.from(key).toString("base64"),
    "auth-key-timestamp": "1",
    "auth-key-lifetime": "2000000000",
    "auth-key-as-rs-alg": algorithm,
    "token-nonce": Buffer.from("123456789012").toString("base64"),
    "token-mac-key": sessionKey.toString("base64"),
    // Half a second after the full one.
    "token-timestamp": `${BigInt(madeAtSeconds) * 65_536n + 32_000n}`,
    "token-lifetime": "600",
  };
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
  const { output } = await run("turnutils_oauth", ["-e", ...args]);
  const [, token = ""] = /"access_token":"([^"]+)"/.exec(output) ?? [];
  return Buffer.from(token, "base64");
}

describe.runIf(needs("coturn"))("a token of turnutils_oauth", () => {
  test.for([
    ["A256GCM", 32],
    ["A128GCM", 16],
  ] as const)(
    "sealed with %s is read as it was meant, with its own key and for our name only",
    async ([algorithm, keyBytes]) => {
      const key = Buffer.alloc(keyBytes, 5);
      const token = await tokenOf(algorithm, key);
      const opened = openAccessToken(token, { key, algorithm, serverName });
      expect(opened).toEqual({ key: sessionKey, madeAt: (madeAtSeconds + 0.5) * 1000, lifetimeSeconds: 600 });
      expect(openAccessToken(token, { key, algorithm, serverName: "other.example.org" })).toBeUndefined();
      expect(openAccessToken(token, { key: Buffer.alloc(keyBytes, 6), algorithm, serverName })).toBeUndefined();
    },
  );
});
