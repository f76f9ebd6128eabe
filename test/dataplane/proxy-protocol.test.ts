// The header of the PROXY protocol, byte by byte, and connections behind a proxy.

import { once } from "node:events";
import { connect as connectTcp } from "node:net";
import { connect as connectTls } from "node:tls";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Endpoint } from "../../src/contract.ts";
import { Certificates } from "../../src/dataplane/certificates.ts";
import { judgeProxyHeader } from "../../src/dataplane/proxy-protocol.ts";
import { type StreamKind, type StreamLimits, Streams, streamLimits } from "../../src/dataplane/stream.ts";
import { encode } from "../../src/stun/message.ts";
import { Method } from "../../src/stun/methods.ts";
import { needs } from "../interop/needs.ts";
import { makeCertificate, newFolder } from "./certificate-files.ts";
import { closeOf, Inbox, until } from "./rig.ts";

const message = Buffer.from(
  encode({ class: "request", method: Method.binding, transactionId: Buffer.alloc(12), attributes: {} }),
);

function version1(line: string): Buffer {
  return Buffer.from(`PROXY ${line}\r\n`);
}

/** `command` 0x20 is LOCAL, 0x21 is PROXY; `kind` 0x11 is TCP over IPv4, 0x21 over IPv6. */
function version2(command: number, kind: number, body: Buffer): Buffer {
  const lead = Buffer.from("\r\n\r\n\0\r\nQUIT\n\0\0\0\0");
  lead.set([command, kind, body.length >> 8, body.length & 0xff], 12);
  return Buffer.concat([lead, body]);
}

const body4 = Buffer.from("c6336407c00002018ae00d96", "hex");
const body6 = Buffer.from("20010db800000000000000000000000720010db80000000000000000000000018ae00d96", "hex");
const source4 = { address: "198.51.100.7", port: 35552 };
const source6 = { address: "2001:db8::7", port: 35552 };

const headers: readonly (readonly [name: string, header: Buffer, source: Endpoint | undefined])[] = [
  ["of version 1 with IPv4", version1("TCP4 198.51.100.7 192.0.2.1 35552 3478"), source4],
  ["of version 1 with IPv6", version1("TCP6 2001:db8::7 2001:db8::1 35552 3478"), source6],
  ["of version 1 that knows nothing", version1("UNKNOWN"), undefined],
  ["of version 1 that knows nothing, at length", version1("UNKNOWN ffff::1 ffff::2 1 2"), undefined],
  ["of version 2 with IPv4", version2(0x21, 0x11, body4), source4],
  ["of version 2 with IPv6", version2(0x21, 0x21, body6), source6],
  [
    "of version 2 with more behind the addresses",
    version2(0x21, 0x11, Buffer.concat([body4, Buffer.alloc(99)])),
    source4,
  ],
  ["of version 2 for the proxy itself", version2(0x20, 0x00, Buffer.alloc(0)), undefined],
  ["of version 2 for the proxy itself, with addresses", version2(0x20, 0x11, body4), undefined],
  ["of version 2 with an unspecified family", version2(0x21, 0x00, Buffer.alloc(3)), undefined],
  [
    "of version 2 with IPv4 in IPv6 clothes",
    version2(0x21, 0x21, Buffer.concat([Buffer.from("00000000000000000000ffffc6336407", "hex"), body6.subarray(16)])),
    source4,
  ],
];

describe("a PROXY header", () => {
  test.each(headers)("%s is read, however little of it or much behind it is there", (_, header, source) => {
    for (let length = 0; length < header.length; length += 1) {
      expect(judgeProxyHeader(header.subarray(0, length)), `${length} bytes`).toBe("incomplete");
    }
    const found = { size: header.length, ...(source && { source }) };
    expect(judgeProxyHeader(header)).toEqual(found);
    expect(judgeProxyHeader(Buffer.concat([header, message]))).toEqual(found);
  });

  test.each([
    ["is something else", message],
    ["begins like one", Buffer.from("PROXIMITY")],
    ["has another protocol", version1("UDP4 198.51.100.7 192.0.2.1 1 2")],
    ["has an unknown word", version1("UNKNOWNS")],
    ["has an address of the other family", version1("TCP4 2001:db8::7 2001:db8::1 1 2")],
    ["has a source and no target", version1("TCP4 198.51.100.7")],
    ["has an address that is none", version1("TCP4 198.51.100.777 192.0.2.1 1 2")],
    ["has a port that is none", version1("TCP4 198.51.100.7 192.0.2.1 65536 2")],
    ["has more behind the ports", version1("TCP4 198.51.100.7 192.0.2.1 1 2 3")],
    ["does not end", Buffer.concat([Buffer.from("PROXY UNKNOWN "), Buffer.alloc(93, "x")])],
    ["has an unknown command", version2(0x22, 0x11, body4)],
    ["has another version", version2(0x31, 0x11, body4)],
    ["is about UDP", version2(0x21, 0x12, body4)],
    ["is about a file", version2(0x21, 0x31, Buffer.alloc(216))],
    ["has no room for its addresses", version2(0x21, 0x11, body4.subarray(1))],
    ["is too long", version2(0x21, 0x11, Buffer.alloc(4097)).subarray(0, 16)],
  ])("that %s is broken", (_, header) => {
    expect(judgeProxyHeader(header)).toBe("broken");
  });

  test("is judged whatever the bytes, and waits for no more than it may be long", () => {
    const begins = fc.constantFrom(Buffer.from("PROXY "), Buffer.from("\r\n\r\n\0\r\nQUIT\n"), Buffer.alloc(0));
    fc.assert(
      fc.property(begins, fc.uint8Array({ minLength: 4112, maxLength: 4200 }), (begin, rest) => {
        expect(judgeProxyHeader(Buffer.concat([begin, rest]))).not.toBe("incomplete");
      }),
    );
  });
});

describe("behind a proxy", () => {
  let now: number;
  let streams: Streams;
  let at: Endpoint;
  let received: Inbox<{ readonly client: Endpoint; readonly frame: Buffer }>;
  const ends: { destroy(): void }[] = [];

  async function listen(
    transport: StreamKind,
    limits: Partial<StreamLimits> = {},
    certificates?: Certificates,
  ): Promise<void> {
    let lastId = 0;
    streams = new Streams({
      limits: { ...streamLimits, ...limits },
      certificates,
      isProxy: (address) => address === "127.0.0.9",
      now: () => now,
      newSocketId: () => {
        lastId += 1;
        return lastId;
      },
      isInUse: () => false,
      receive: ({ client }, frame) => received.put({ client, frame: Buffer.from(frame) }),
      hungUp: () => {},
      lost: () => {},
    });
    at = (await streams.listen(0, transport, { address: "127.0.0.1", port: 0 })).at;
  }

  beforeEach(() => {
    now = 1000;
    received = new Inbox();
  });

  afterEach(async () => {
    for (const end of ends.splice(0)) end.destroy();
    await streams.close();
  });

  async function connect(from = "127.0.0.9") {
    const client = connectTcp({ host: at.address, port: at.port, localAddress: from, noDelay: true });
    ends.push(client);
    client.on("error", () => {}).resume();
    await once(client, "connect");
    return { client, closed: closeOf(client) };
  }

  test.each(headers)("a client is who the header %s says", async (_, header, source) => {
    await listen("tcp");
    const { client } = await connect();
    client.write(Buffer.concat([header, message]));
    const own = { address: "127.0.0.9", port: client.localPort };
    expect(await received.next()).toEqual({ client: source ?? own, frame: message });
  });

  test("a header and what follows may come in any pieces", async () => {
    await listen("tcp");
    const stream = Buffer.concat([version1("TCP4 198.51.100.7 192.0.2.1 35552 3478"), message, message]);
    const cuts = fc.array(fc.nat(stream.length), { maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(cuts, async (unsorted) => {
        const { client } = await connect();
        const places = [0, ...unsorted.sort((a, b) => a - b), stream.length];
        for (const [index, place] of places.slice(1).entries()) {
          await new Promise((resolve) => client.write(stream.subarray(places[index], place), resolve));
        }
        for (const { client: said, frame } of await received.take(2)) {
          expect(said).toEqual(source4);
          expect(frame).toEqual(message);
        }
        client.destroy();
      }),
      { numRuns: 50 },
    );
  });

  test.each([
    ["sends no header", message],
    ["sends a broken one", version1("TCP4 nobody nowhere 1 2")],
  ])("a proxy that %s is closed on", async (_, bytes) => {
    await listen("tcp");
    const { client, closed } = await connect();
    client.write(bytes);
    await closed;
    expect(received.isEmpty).toBe(true);
  });

  test("a proxy that says nothing has ten seconds", async () => {
    await listen("tcp");
    const { client, closed } = await connect();
    client.write("PROXY ");
    await connect("127.0.0.1");
    await until(() => streams.size === 1);
    now += streamLimits.arrivalMillis - 1;
    streams.sweep(now);
    expect(client.closed).toBe(false);
    now += 1;
    streams.sweep(now);
    await closed;
    expect(streams.size).toBe(1);
  });

  test("who is not trusted is not believed", async () => {
    await listen("tcp");
    const [text, binary] = [await connect("127.0.0.1"), await connect("127.0.0.1")];
    binary.client.write(Buffer.concat([version2(0x21, 0x11, body4), message]));
    await binary.closed;
    text.client.write(Buffer.concat([version1("TCP4 198.51.100.7 192.0.2.1 35552 3478"), message]));
    await until(() => streams.size === 1);
    now += streamLimits.firstFrameMillis;
    streams.sweep(now);
    await text.closed;
    expect(received.isEmpty).toBe(true);
  });

  test("clients are counted by their own address, and the proxy's counts for nothing", async () => {
    await listen("tcp", { connectionsPerHost: 1 });
    const [first, second, third] = [await connect(), await connect(), await connect()];
    first.client.write(Buffer.concat([version2(0x21, 0x11, body4), message]));
    second.client.write(Buffer.concat([version2(0x21, 0x21, body6), message]));
    await received.take(2);
    third.client.write(Buffer.concat([version2(0x21, 0x11, body4), message]));
    await third.closed;
    expect(streams.size).toBe(2);
    first.client.destroy();
    await until(() => streams.size === 1);
    const { client } = await connect();
    client.write(Buffer.concat([version2(0x21, 0x11, body4), message]));
    expect((await received.next()).client).toEqual(source4);
  });

  test.runIf(needs("openssl"))("TLS begins after the header, in the same piece or a later one", async () => {
    const certificates = await Certificates.open([makeCertificate(newFolder(), ["relay.example.org"])]);
    await listen("tls", {}, certificates);
    const header = version2(0x21, 0x11, body4);
    const { client: whole } = await connect();
    whole.pause();
    whole.write(header);
    const secured = connectTls({ socket: whole, rejectUnauthorized: false });
    secured.write(message);
    expect(await received.next()).toEqual({ client: source4, frame: message });

    const { client: cut } = await connect();
    cut.pause();
    cut.write(header.subarray(0, 5));
    await until(() => cut.writableLength === 0);
    cut.cork();
    cut.write(header.subarray(5));
    const later = connectTls({ socket: cut, rejectUnauthorized: false });
    cut.uncork();
    later.write(message);
    expect(await received.next()).toEqual({ client: source4, frame: message });
  });
});
