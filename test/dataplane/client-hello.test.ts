// The first message of a TLS handshake, as a real client sends it, whole, cut up and spoilt.

import { Duplex } from "node:stream";
import { type ConnectionOptions, connect } from "node:tls";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { judgeClientHello } from "../../src/dataplane/client-hello.ts";

/** What OpenSSL sends first. */
function helloOf(options: ConnectionOptions): Promise<Buffer> {
  return new Promise((resolve) => {
    const wire = new Duplex({ read: () => {}, write: (chunk: Buffer) => resolve(chunk) });
    connect({ socket: wire, ...options }).on("error", () => {});
  });
}

/** The same message in records of at most `size` bytes. */
function inRecords(hello: Buffer, size: number): Buffer {
  const message = hello.subarray(5);
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += size) {
    const fragment = message.subarray(at, at + size);
    records.push(Buffer.of(0x16, 3, 1, fragment.length >> 8, fragment.length & 0xff), fragment);
  }
  return Buffer.concat(records);
}

const asked = { servername: "relay.example.org", ALPNProtocols: ["h2", "stun.turn"] };
const found = { size: 0, name: "relay.example.org", applications: ["h2", "stun.turn"] };

describe("a ClientHello", () => {
  test.each(["TLSv1.2", "TLSv1.3"] as const)("of %s tells the name and the applications", async (version) => {
    const versions = { minVersion: version, maxVersion: version };
    expect(judgeClientHello(await helloOf({ ...asked, ...versions }))).toEqual(found);
    expect(judgeClientHello(await helloOf(versions))).toEqual({ size: 0, applications: [] });
  });

  test("tells nothing before it is whole, and whatever comes behind it does not matter", async () => {
    const hello = await helloOf(asked);
    for (let length = 0; length < hello.length; length += 1) {
      expect(judgeClientHello(hello.subarray(0, length)), `${length} bytes`).toBe("incomplete");
    }
    expect(judgeClientHello(Buffer.concat([hello, Buffer.from("140303000101170303", "hex")]))).toEqual(found);
  });

  test.each([1, 3, 4, 100])("is the same in records of %d bytes", async (size) => {
    const records = inRecords(await helloOf(asked), size);
    expect(judgeClientHello(records)).toEqual(found);
    expect(judgeClientHello(records.subarray(0, -1))).toBe("incomplete");
  });

  test.each([
    ["another message first", "1603010004020000000000"],
    ["an empty record", "1603010000"],
    ["another record before its end", "16030100020100150301"],
    ["a message too short for what is in it", "16030100060100000203031603"],
  ])("is broken with %s", (_, bytes) => {
    expect(judgeClientHello(Buffer.from(bytes, "hex"))).toBe("broken");
  });

  test("is broken when it is longer than anybody's", () => {
    const endless = Buffer.concat([Buffer.from("1603014e2001004e1c", "hex"), Buffer.alloc(20_000)]);
    expect(judgeClientHello(endless.subarray(0, 19_999))).toBe("incomplete");
    expect(judgeClientHello(endless.subarray(0, 20_000))).toBe("broken");
  });

  test("is judged however it is spoilt", async () => {
    const hello = await helloOf(asked);
    fc.assert(
      fc.property(fc.nat(hello.length - 1), fc.nat(255), (place, byte) => {
        const spoilt = Buffer.from(hello);
        spoilt[place] = byte;
        const judged = judgeClientHello(spoilt);
        expect(typeof judged === "string" || judged.size === 0).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});
