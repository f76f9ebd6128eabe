// A million byte strings, random and mutated, at everything that reads what a stranger sent. Set FUZZ_SEED to repeat.

import { describe, expect, test } from "vitest";
import { readChannelData, writeChannelData } from "../../src/stun/channel-data.ts";
import { isIntact } from "../../src/stun/integrity.ts";
import { brokenList, decode, encode, type Message } from "../../src/stun/message.ts";
import { Deframer, pad } from "../../src/stun/stream.ts";

const seed = Number(process.env.FUZZ_SEED ?? Date.now() % 2 ** 31);
const key = Buffer.from("key");
const rounds = 1_000_000;

/** Marsaglia's xorshift, 32 bits: fast and repeatable. */
class Xorshift {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0 || 1;
  }

  below(limit: number): number {
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state;
    return (state >>> 0) % limit;
  }
}

const peer = { address: "192.0.2.1", port: 5000 };
const transactionId = Buffer.alloc(12, 5);
const request = { class: "request", transactionId } as const;

/** Real traffic to start mutating from. */
const corpus: readonly Uint8Array[] = [
  encode({ ...request, method: 1, attributes: {} }),
  encode({ ...request, method: 1, attributes: { priority: 1, iceControlling: 1n, useCandidate: true } }, { key }),
  encode({ ...request, method: 3, attributes: { requestedTransport: 17, evenPort: { reservesNext: true } } }),
  encode(
    { ...request, method: 8, attributes: { xorPeerAddress: [peer, peer], username: "u", realm: "r", nonce: "n" } },
    { key, algorithm: "sha256", fingerprint: true },
  ),
  encode({ ...request, class: "indication", method: 6, attributes: { xorPeerAddress: [peer], data: key } }),
  encode({
    ...request,
    class: "error",
    method: 3,
    attributes: {
      errorCode: { code: 420, reason: "Unknown Attribute" },
      unknownAttributes: [1, 2, 3],
      passwordAlgorithms: [{ algorithm: 2, parameters: Buffer.alloc(5) }],
      addressErrorCode: { family: 6, code: 440, reason: "" },
      icmp: { type: 3, code: 4, data: 1280 },
    },
  }),
  encode({
    ...request,
    method: 1,
    transactionId: Buffer.alloc(16, 9),
    classic: true,
    attributes: { changeRequest: { changesAddress: true, changesPort: true } },
  }),
  pad(writeChannelData(0x4000, Buffer.from("payload"))),
];

/** Bytes that mean something: kinds, classes, lengths on the edge, types of attributes. */
const telling = [0x00, 0x01, 0x02, 0x03, 0x04, 0x08, 0x12, 0x13, 0x14, 0x20, 0x3f, 0x40, 0x80, 0xfc, 0xff];

function randomBytes(random: Xorshift): Buffer {
  const bytes = Buffer.allocUnsafe(random.below(64));
  for (let i = 0; i < bytes.length; i++) bytes[i] = random.below(256);
  return bytes;
}

/** One of the corpus with some bytes changed, perhaps cut or grown, and mostly with its length put right again. */
function mutatedBytes(random: Xorshift): Buffer {
  const original = corpus[random.below(corpus.length)] ?? Buffer.alloc(0);
  const length = random.below(4) === 0 ? random.below(original.length + 9) : original.length;
  const bytes = Buffer.alloc(length);
  bytes.set(original.subarray(0, length));
  for (let changes = random.below(5); changes > 0 && length > 0; changes--) {
    bytes[random.below(length)] = random.below(2) === 0 ? random.below(256) : (telling[random.below(15)] ?? 0);
  }
  if (length >= 20 && random.below(4) !== 0) bytes.writeUInt16BE((length - 20) & ~3, 2);
  return bytes;
}

/** What must hold of a message whatever it was read from. */
function isSound(message: Message, bytes: Uint8Array): boolean {
  return (
    message.transactionId.length === (message.classic ? 16 : 12) &&
    message.types.length * 4 <= bytes.length - 20 &&
    message.malformed.every((type) => type === brokenList || message.types.includes(type)) &&
    Object.keys(message.attributes).length <= message.types.length
  );
}

/** Reads them in every way there is; undefined if they are no message. */
function readAll(bytes: Buffer): "sound" | "unsound" | undefined {
  readChannelData(bytes);
  isIntact(bytes, key);
  const message = decode(bytes);
  return message && (isSound(message, bytes) ? "sound" : "unsound");
}

/** Bytes of the frames that a chunk, pushed in two pieces, finishes. */
function pushInTwo(deframer: Deframer, chunk: Uint8Array, at: number): number {
  const frames = [...deframer.push(chunk.subarray(0, at)), ...deframer.push(chunk.subarray(at))];
  return frames.reduce((sum, frame) => sum + frame.length, 0);
}

describe(`with seed ${seed}`, () => {
  test("a million datagrams are read, or not, without an exception", { timeout: 120_000 }, () => {
    const random = new Xorshift(seed);
    const outcomes = { sound: 0, unsound: 0 };
    for (let round = 0; round < rounds; round++) {
      const outcome = readAll(round % 4 === 0 ? randomBytes(random) : mutatedBytes(random));
      if (outcome) outcomes[outcome]++;
    }
    expect(outcomes.unsound).toBe(0);
    // With fewer, the mutations would be too wild to reach the attributes.
    expect(outcomes.sound).toBeGreaterThan(rounds / 10);
  });

  test("reading changes nothing in what was read", () => {
    const random = new Xorshift(seed);
    for (let round = 0; round < 1000; round++) {
      const bytes = mutatedBytes(random);
      const before = Buffer.from(bytes);
      readAll(bytes);
      expect(bytes).toEqual(before);
    }
  });

  test("a million stream chunks are framed, or break the stream, in bounded memory", { timeout: 120_000 }, () => {
    const random = new Xorshift(seed);
    const memoryBefore = process.memoryUsage().arrayBuffers;
    let deframer = new Deframer();
    let streams = 1;
    let pushed = 0;
    let framed = 0;
    for (let round = 0; round < rounds; round++) {
      const chunk = random.below(50) === 0 ? mutatedBytes(random) : (corpus[random.below(corpus.length)] ?? key);
      pushed += chunk.length;
      framed += pushInTwo(deframer, chunk, random.below(chunk.length + 1));
      if (deframer.isBroken) {
        deframer = new Deframer();
        streams++;
      }
    }
    expect(framed).toBeLessThanOrEqual(pushed);
    expect(framed).toBeGreaterThan(pushed / 4);
    expect(streams).toBeGreaterThan(1000);
    expect(process.memoryUsage().arrayBuffers - memoryBefore).toBeLessThan(64 * 2 ** 20);
  });
});
