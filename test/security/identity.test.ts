// B: authentication and identity. Most of it is in test/turn/authentication.test.ts and beside it; docs/security.md has
// the list.

import { randomBytes, randomInt } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { RelayPorts } from "../../src/dataplane/relay-ports.ts";
import { encode } from "../../src/stun/message.ts";
import { Nonces } from "../../src/turn/nonce.ts";
import { codeOf, World } from "../turn/world.ts";

const src = fileURLToPath(new URL("../../src/", import.meta.url));
const sources = readdirSync(src, { recursive: true, encoding: "utf8" })
  .filter((path) => /\.(ts|cpp|h)$/.test(path))
  .map((path) => ({ path, text: readFileSync(join(src, path), "utf8") }));

/** How far counts are from equal ones. With k of them it is near k - 1, and hardly ever beyond six sigmas more. */
function chiSquare(counts: readonly number[]): number {
  const expected = counts.reduce((sum, count) => sum + count, 0) / counts.length;
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}

function sixSigmasBeyond(counts: number): number {
  return counts - 1 + 6 * Math.sqrt(2 * (counts - 1));
}

const draws = 100_000;

describe("B1", () => {
  test("nonces for a hundred thousand clients within one second look like chance in every byte of the MAC", () => {
    const nonces = new Nonces(randomBytes(32), "example.org", 600);
    const counts = Array.from({ length: 7 }, () => new Array<number>(256).fill(0));
    const seen = new Set<string>();
    for (let i = 0; i < draws; i += 1) {
      const nonce = nonces.issue(
        1_800_000_000_000,
        { address: `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, port: 5000 + (i % 7) },
        "",
      );
      seen.add(nonce);
      const mac = Buffer.from(nonce, "base64url").subarray(4);
      for (const [at, byte] of mac.entries()) {
        const ofByte = counts[at];
        if (ofByte) ofByte[byte] = (ofByte[byte] ?? 0) + 1;
      }
    }
    expect(seen.size).toBe(draws);
    for (const ofByte of counts) expect(chiSquare(ofByte)).toBeLessThan(sixSigmasBeyond(256));
  });

  test("a hundred thousand relay ports are drawn evenly, and none tells of the one before", () => {
    const [first, span] = [49_152, 16_384];
    const ports = new RelayPorts([{ bind: "192.0.2.1" }], [first, first + span - 1], (below) => randomInt(below));
    const places = new Array<number>(64).fill(0);
    const steps = new Array<number>(64).fill(0);
    let last = 0;
    for (let i = 0; i < draws; i += 1) {
      const drawn = ports.draw(0);
      if (!drawn) throw new Error("no port");
      const place = drawn.port - first;
      const step = (place - last + span) % span;
      for (const [counts, value] of [
        [places, place],
        [steps, step],
      ] as const) {
        const at = Math.floor((value * counts.length) / span);
        counts[at] = (counts[at] ?? 0) + 1;
      }
      last = place;
      ports.release(drawn);
    }
    expect(chiSquare(places)).toBeLessThan(sixSigmasBeyond(64));
    expect(chiSquare(steps)).toBeLessThan(sixSigmasBeyond(64));
  });

  test("what nobody may foresee comes from the system's generator: there is no other, but for the pace of reconnecting", () => {
    const others = /\bMath\.random\b|\brand\(|\bsrand\(|\brandom\(\)|\bmt19937\b|\brandom_device\b/;
    expect(sources.filter(({ text }) => others.test(text)).map(({ path }) => path)).toEqual([
      "component/connection.ts",
    ]);
  });
});

describe("B5", () => {
  test("a first packet that anybody could have sent changes nothing for the client whose address it bears", () => {
    const origin = Buffer.from("https://other.example");
    const hears = (isSpoofed: boolean) => {
      const world = new World();
      const client = world.client();
      if (isSpoofed) {
        const bytes = encode({
          ...client.request("allocate", { requestedTransport: 17 }),
          transactionId: Buffer.alloc(12, 9),
        });
        client.sends(withOrigin(bytes, origin));
        client.sends(
          withOrigin(encode(client.request("refresh", { realm: "other.example", username: "bob" })), origin),
        );
      }
      client.allocates();
      return { relays: world.relays.size, opened: world.facts.filter(({ fact }) => fact === "allocation-opened") };
    };
    expect(hears(true)).toEqual(hears(false));
  });
});

/** ORIGIN, as draft-ietf-tram-stun-origin had it. */
function withOrigin(message: Uint8Array, origin: Buffer): Buffer {
  const padded = Buffer.alloc(4 + Math.ceil(origin.length / 4) * 4);
  padded.writeUInt16BE(0x802f, 0);
  padded.writeUInt16BE(origin.length, 2);
  padded.set(origin, 4);
  const whole = Buffer.concat([message, padded]);
  whole.writeUInt16BE(whole.length - 20, 2);
  return whole;
}

describe("B6", () => {
  test("whatever proves who somebody is, is compared in constant time", () => {
    const proof = String.raw`\b\w*(?:integrity|hmac|digest|password|secret|tag)\w*\)?`;
    const inTimeThatTells = new RegExp(
      `${proof}\\s*[!=]==?\\s*(?!undefined|null|"|\\d)\\w|${proof}\\.(equals|compare)\\(|\\.(equals|compare)\\(${proof}`,
      "i",
    );
    const comments = /\/\/.*$|\/\*[\s\S]*?\*\//gm;
    const found = sources.filter(
      ({ path, text }) => path.endsWith(".ts") && inTimeThatTells.test(text.replace(comments, "")),
    );
    expect(found.map(({ path }) => path)).toEqual([]);
    for (const path of ["stun/integrity.ts", "turn/nonce.ts", "accounts/credentials-http.ts"]) {
      expect(sources.find((each) => each.path === path)?.text).toContain("timingSafeEqual(");
    }
  });
});

describe("B9", () => {
  test("a wrong password and an unknown user are told apart by nothing in the answer", () => {
    const answers = ["alice", "mallory"].map((username) => {
      const client = new World().client();
      client.fetchNonce();
      const [answer] = client.sends(
        client.sign(client.request("allocate", { requestedTransport: 17 }), { key: randomBytes(16) }, { username }),
      );
      return Buffer.from(answer ?? []);
    });
    const [known, unknown] = answers;
    expect(known?.length).toBeGreaterThan(20);
    expect(unknown).toEqual(known);
  });

  test("guesses over UDP are answered no more often than the budget of their network allows", () => {
    const world = new World({ replyRate: { repliesPerSecond: 10, burst: 50 } });
    const client = world.client();
    client.fetchNonce();
    let answered = 0;
    for (let guess = 0; guess < 1000; guess += 1) {
      answered += client.sends(client.sign(client.request("refresh"), { key: Buffer.alloc(16, guess & 255) })).length;
    }
    expect(answered).toBeLessThanOrEqual(50);
    expect(codeOf(world.client("203.0.113.9").asksBare("allocate", { requestedTransport: 17 }))).toBe(401);
  });
});
