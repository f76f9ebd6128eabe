import fc from "fast-check";
import { expect, test } from "vitest";
import { firstChannel, lastChannel, readChannelData, writeChannelData } from "../../src/stun/channel-data.ts";

test("what is written is read back", () => {
  const channels = fc.integer({ min: firstChannel, max: lastChannel });
  fc.assert(
    fc.property(channels, fc.uint8Array({ maxLength: 2000 }), (channel, payload) => {
      const read = readChannelData(writeChannelData(channel, payload));
      expect(read?.channel).toBe(channel);
      expect(Buffer.from(read?.payload ?? []).equals(payload)).toBe(true);
    }),
  );
});

test("the bytes are channel number, length, payload", () => {
  expect(Buffer.from(writeChannelData(0x4abc, Buffer.from("hello"))).toString("hex")).toBe("4abc000568656c6c6f");
});

test("a payload may be empty, and as long as sixteen bits can say", () => {
  expect(readChannelData(writeChannelData(0x4000, Buffer.alloc(0)))?.payload.length).toBe(0);
  expect(readChannelData(writeChannelData(0x4000, Buffer.alloc(65_535)))?.payload.length).toBe(65_535);
  expect(() => writeChannelData(0x4000, Buffer.alloc(65_536))).toThrow();
});

test("padding after the payload is ignored", () => {
  expect(readChannelData(Buffer.from("4000000161000000", "hex"))?.payload).toEqual(Buffer.from("a"));
});

test.each([
  ["nothing", ""],
  ["half a header", "4000"],
  ["a length beyond the end", "40000002ff"],
  ["a STUN message", "000100002112a442"],
  ["a number below the channels", "3fff0000"],
  ["a number outside the ChannelData range", "80000000"],
])("%s is no ChannelData", (_what, hex) => {
  expect(readChannelData(Buffer.from(hex, "hex"))).toBeUndefined();
});
