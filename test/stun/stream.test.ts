import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { writeChannelData } from "../../src/stun/channel-data.ts";
import { encode } from "../../src/stun/message.ts";
import { Deframer, pad } from "../../src/stun/stream.ts";

const transactionId = Buffer.alloc(12, 7);

const stun = fc
  .uint8Array({ maxLength: 700 })
  .map((data) => encode({ class: "indication", method: 6, transactionId, attributes: { data } }));
const channelData = fc
  .tuple(fc.integer({ min: 0x4000, max: 0x7fff }), fc.uint8Array({ maxLength: 700 }))
  .map(([channel, payload]) => writeChannelData(channel, payload));
const frames = fc.array(fc.oneof(stun, channelData), { maxLength: 12 });

/** Where to cut a stream, as fractions of its length: many at one place make empty chunks. */
const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 40 });

function cut(stream: Buffer, fractions: readonly number[]): Buffer[] {
  const places = fractions.map((fraction) => Math.floor(fraction * stream.length)).sort((a, b) => a - b);
  return [0, ...places].map((place, i) => stream.subarray(place, places[i] ?? stream.length));
}

function deframe(chunks: readonly Uint8Array[]): { frames: Buffer[]; isBroken: boolean } {
  const deframer = new Deframer();
  const frames = chunks.flatMap((chunk) => deframer.push(chunk)).map((frame) => Buffer.from(frame));
  return { frames, isBroken: deframer.isBroken };
}

function bytewise(stream: Uint8Array): Uint8Array[] {
  return [...stream].map((byte) => Uint8Array.of(byte));
}

describe("a stream of frames", () => {
  test("gives the same frames however it is cut", () => {
    fc.assert(
      fc.property(frames, cuts, (frames, fractions) => {
        const chunks = cut(Buffer.concat(frames.map(pad)), fractions);
        expect(deframe(chunks)).toEqual({ frames: frames.map((frame) => Buffer.from(frame)), isBroken: false });
      }),
      { numRuns: 500 },
    );
  });

  test("gives the same frames byte by byte", () => {
    fc.assert(
      fc.property(frames, (frames) => {
        const deframed = deframe(bytewise(Buffer.concat(frames.map(pad))));
        expect(deframed).toEqual({ frames: frames.map((frame) => Buffer.from(frame)), isBroken: false });
      }),
      { numRuns: 50 },
    );
  });

  test("breaks at the same place however it is cut, after the same frames", () => {
    const garbage = fc
      .constantFrom("80", "ffffffff", "0001000000000000", "0001000221", "4000ffff")
      .map((hex) => Buffer.from(hex, "hex"));
    fc.assert(
      fc.property(frames, garbage, cuts, (frames, garbage, fractions) => {
        const stream = Buffer.concat([...frames.map(pad), garbage, Buffer.alloc(8, 0x80)]);
        expect(deframe(cut(stream, fractions))).toEqual({
          frames: frames.map((frame) => Buffer.from(frame)),
          isBroken: true,
        });
      }),
      { numRuns: 200 },
    );
  });

  test("gives the longest frame when it comes byte by byte", () => {
    const frame = Buffer.from(pad(writeChannelData(0x4000, Buffer.alloc(65_527, 1))));
    expect(deframe(bytewise(frame)).frames).toEqual([frame.subarray(0, 4 + 65_527)]);
  });

  test("gives frames that later chunks do not overwrite", () => {
    const first = writeChannelData(0x4001, Buffer.from("first"));
    const second = writeChannelData(0x4002, Buffer.from("second"));
    const stream = Buffer.concat([pad(first), pad(second), pad(first)]);
    const deframer = new Deframer();
    const [got] = [...deframer.push(stream.subarray(0, 7)), ...deframer.push(stream.subarray(7, 14))];
    deframer.push(stream.subarray(14));
    expect(got).toEqual(first);
  });

  test("gives a frame only when its padding has arrived", () => {
    const deframer = new Deframer();
    const padded = pad(writeChannelData(0x4000, Buffer.from("a")));
    expect(deframer.push(padded.subarray(0, 7))).toEqual([]);
    expect(deframer.push(padded.subarray(7))).toHaveLength(1);
  });

  test("may hold the longest of either kind", () => {
    const payload = writeChannelData(0x4000, Buffer.alloc(65_527));
    const message = Buffer.alloc(20 + 65_532);
    message.writeUInt16BE(1, 0);
    message.writeUInt16BE(65_532, 2);
    message.writeUInt32BE(0x2112a442, 4);
    const stream = Buffer.concat([pad(payload), message]);
    const chunks = Array.from({ length: Math.ceil(stream.length / 1000) }, (_, i) =>
      stream.subarray(i * 1000, (i + 1) * 1000),
    );
    expect(deframe(chunks)).toEqual({ frames: [payload, message], isBroken: false });
  });
});

describe("a stream breaks on", () => {
  test.each([
    ["a first byte that neither kind has", "80"],
    ["TLS, which could be STUN until the cookie is due", "1603010200010001"],
    ["a STUN message without the cookie", "0001000000000000"],
    ["a STUN message whose length is no multiple of four", "000100022112a442"],
    ["ChannelData longer than any datagram", "4000fff8"],
  ])("%s", (_what, hex) => {
    const stream = Buffer.from(hex, "hex");
    expect(deframe([stream.subarray(0, -1)])).toEqual({ frames: [], isBroken: false });
    expect(deframe([stream])).toEqual({ frames: [], isBroken: true });
  });

  test("and gives nothing more", () => {
    const deframer = new Deframer();
    deframer.push(Buffer.from([0xff]));
    expect(deframer.push(pad(writeChannelData(0x4000, Buffer.from("a"))))).toEqual([]);
    expect(deframer.isBroken).toBe(true);
  });
});

test("a frame is padded with zeros to a multiple of four bytes, and left as it is where it has one", () => {
  expect(pad(Buffer.from("40000001ff", "hex"))).toEqual(Buffer.from("40000001ff000000", "hex"));
  const whole = Buffer.from("40000004ffffffff", "hex");
  expect(pad(whole)).toBe(whole);
});
