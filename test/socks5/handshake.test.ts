import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { HandshakeCutter, offersNoAuthentication, readRequest, writeReply } from "../../src/socks5/handshake.ts";

const hash = "0123456789abcdef0123456789abcdef01234567";
const greeting = Buffer.from([5, 2, 2, 0]);

/** A request for this name, with what is wrong about it. */
function request(name = hash, { version = 5, command = 1, type = 3, port = 0 } = {}): Buffer {
  const lead = Buffer.from([version, command, 0, type, name.length]);
  return Buffer.concat([lead, Buffer.from(name, "latin1"), Buffer.from([port >> 8, port & 0xff])]);
}

function cut(chunks: readonly Uint8Array[]): { messages: Buffer[]; isBroken: boolean } {
  const cutter = new HandshakeCutter();
  const messages: Buffer[] = [];
  for (const chunk of chunks) {
    cutter.add(chunk);
    for (let next = cutter.next(); next; next = cutter.next()) messages.push(Buffer.from(next));
  }
  return { messages, isBroken: cutter.isBroken };
}

describe("the handshake of SOCKS5", () => {
  test("is the same however it is cut, and what comes behind it is thrown away", () => {
    const stream = Buffer.concat([greeting, request(), Buffer.from([5, 1, 0, 5, 5, 5])]);
    fc.assert(
      fc.property(fc.array(fc.nat(stream.length)), (places) => {
        const ends = [...places.sort((a, b) => a - b), stream.length];
        const chunks = ends.map((end, i) => stream.subarray(ends[i - 1] ?? 0, end));
        expect(cut(chunks)).toEqual({ messages: [greeting, request()], isBroken: false });
      }),
    );
    expect(cut([...stream].map((byte) => Buffer.of(byte))).messages).toEqual([greeting, request()]);
  });

  test.each([
    ["SOCKS4", Buffer.from([4, 1, 0, 80])],
    ["HTTP", Buffer.from("CONNECT example.org:443")],
    ["a request of another version", Buffer.concat([greeting, request(hash, { version: 4 })])],
  ])("is broken by %s", (_, bytes) => {
    expect(cut([bytes]).isBroken).toBe(true);
  });

  test("never comes to an end of its own while something is missing", () => {
    for (const stream of [greeting, Buffer.concat([greeting, request()])]) {
      expect(cut([stream.subarray(0, -1)]).messages.length).toBeLessThan(cut([stream]).messages.length);
    }
  });

  test("needs an offer to go without authentication", () => {
    expect(offersNoAuthentication(greeting)).toBe(true);
    expect(offersNoAuthentication(Buffer.from([5, 1, 2]))).toBe(false);
    expect(offersNoAuthentication(Buffer.from([5, 0]))).toBe(false);
  });

  test("asks for a hash, in either case, which comes back as it was", () => {
    expect(readRequest(request())).toEqual({ hash });
    expect(readRequest(request(hash.toUpperCase()))).toEqual({ hash });
    const reply = writeReply(request(hash.toUpperCase()), "done");
    expect(Buffer.from(reply)).toEqual(
      Buffer.concat([Buffer.from([5, 0, 0, 3, 40]), Buffer.from(hash.toUpperCase()), Buffer.from([0, 0])]),
    );
  });

  test.each([
    ["BIND", request(hash, { command: 2 }), "command not supported"],
    ["UDP ASSOCIATE", request(hash, { command: 3 }), "command not supported"],
    ["an IPv4 address", Buffer.from([5, 1, 0, 1, 127, 0, 0, 1, 0, 80]), "address type not supported"],
    ["an IPv6 address", Buffer.from([5, 1, 0, 4, ...new Array(16).fill(0), 0, 80]), "address type not supported"],
    ["an unknown kind of address", Buffer.from([5, 1, 0, 9, 0]), "address type not supported"],
    ["a port", request(hash, { port: 80 }), "not allowed"],
    ["a host", request("localhost"), "not allowed"],
    ["39 digits", request(hash.slice(1)), "not allowed"],
    ["41 digits", request(`${hash}0`), "not allowed"],
    ["what are not digits", request(`${hash.slice(1)}g`), "not allowed"],
    ["a name with zeros", request("\0".repeat(40)), "not allowed"],
    ["no name", request(""), "not allowed"],
  ])("is refused when it asks for %s, as soon as it is whole", (_, bytes, refused) => {
    const { messages } = cut([greeting, bytes]);
    expect(messages).toEqual([greeting, bytes]);
    expect(readRequest(bytes)).toEqual({ refused });
    expect([...writeReply(bytes, "not allowed").subarray(0, 3)]).toEqual([5, 2, 0]);
  });
});
