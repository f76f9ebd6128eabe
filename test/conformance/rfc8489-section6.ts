// RFC 8489 sections 6 and 7: how messages are received, and how requests and indications are processed.

import type { Bench } from "./bench.ts";
import { expectError, expectSuccess, hex } from "./client.ts";
import { must, type Requirement } from "./requirement.ts";
import * as wire from "./wire.ts";

const binding = wire.method.binding | wire.messageClass.request;

/** Passes when the server says nothing to `bytes`. */
async function silenceAbout(bench: Bench, bytes: Uint8Array): Promise<string> {
  await (await bench.client()).expectSilence(bytes);
  return "no reply before the next request's";
}

async function expectMappedAddress(client: Awaited<ReturnType<Bench["client"]>>): Promise<string> {
  const reply = await client.request(wire.method.binding);
  expectSuccess(reply);
  const [mapped] = wire.xorAddresses(reply, wire.attribute.xorMappedAddress);
  const { local } = client.connection;
  must(mapped, "no XOR-MAPPED-ADDRESS");
  const isMine = mapped.address === local.address && mapped.port === local.port;
  must(isMine, `XOR-MAPPED-ADDRESS is ${mapped.address}:${mapped.port}, sent from ${local.address}:${local.port}`);
  return `${mapped.address}:${mapped.port}`;
}

function unknownAttributesOf(reply: wire.Reading): number[] {
  const value = wire.find(reply, wire.attribute.unknownAttributes)?.value ?? Buffer.alloc(0);
  return Array.from({ length: Math.floor(value.length / 2) }, (_, i) => value.readUInt16BE(2 * i));
}

export const sending: readonly Requirement[] = [
  {
    section: "6.2.2",
    level: "MUST",
    says: "A client may send several requests over TCP before the first is answered",
    check: async (bench) => {
      const client = await bench.client({ transport: "tcp" });
      const requests = Array.from({ length: 10 }, () => wire.message(binding));
      client.send(Buffer.concat(requests));
      for (const request of requests) {
        const id = request.subarray(8, 20);
        await client.next("one of the answers", ({ message }) => message?.transactionId.equals(id) === true);
      }
      return "10 requests in one segment, 10 answers";
    },
  },
  {
    section: "6.2.2",
    level: "SHOULD",
    says: "The server keeps a TCP connection open and lets the client close it",
    check: async (bench) => {
      const client = await bench.client({ transport: "tcp" });
      for (let round = 0; round < 3; round++) expectSuccess(await client.request(wire.method.binding));
      return "three transactions in turn over one connection";
    },
  },
  {
    section: "6.2.2",
    level: "MUST",
    says: "A message that arrives over TCP byte by byte is one message",
    check: async (bench) => {
      const client = await bench.client({ transport: "tcp" });
      const request = wire.message(binding, [wire.attributeOf(wire.attribute.software, "byte by byte")]);
      for (const byte of request.subarray(0, -1)) {
        client.send(Buffer.of(byte));
        // One turn of the event loop, so that each byte is a write of its own.
        await new Promise(setImmediate);
      }
      client.send(request.subarray(-1));
      const id = request.subarray(8, 20);
      await client.next("the answer", ({ message }) => message?.transactionId.equals(id) === true);
      return `${request.length} writes, one answer`;
    },
  },
];

export const receiving: readonly Requirement[] = [
  {
    section: "6.3",
    level: "MUST",
    says: "A datagram whose first two bits are not zero is not taken for STUN",
    check: async (bench) => {
      const bytes = wire.message(binding);
      bytes.writeUInt16BE(0x8000 | binding, 0);
      return silenceAbout(bench, bytes);
    },
  },
  {
    section: "6.3",
    level: "MUST",
    says: "A datagram shorter than the header is discarded",
    check: (bench) => silenceAbout(bench, wire.message(binding).subarray(0, 19)),
  },
  {
    section: "6.3",
    level: "MUST",
    says: "A message whose length exceeds the datagram is discarded",
    check: (bench) => silenceAbout(bench, wire.withLength(wire.message(binding), 8)),
  },
  {
    section: "6.3",
    level: "MUST",
    says: "A message whose length falls short of the datagram is discarded",
    check: (bench) =>
      silenceAbout(bench, wire.withLength(wire.message(binding, [wire.attributeOf(0x8022, "left over")]), 0)),
  },
  {
    section: "6.3",
    level: "MUST",
    says: "A message whose length is no multiple of four is discarded",
    check: (bench) => {
      const bytes = Buffer.concat([wire.message(binding), Buffer.of(0x80, 0x22)]);
      return silenceAbout(bench, wire.withLength(bytes, 2));
    },
  },
  {
    section: "6.3",
    level: "MUST",
    says: "A message with an attribute that overruns it is discarded or refused with 400",
    check: async (bench) => {
      const bytes = wire.message(binding, [wire.attributeOf(0x8022, "four")]);
      bytes.writeUInt16BE(400, wire.headerBytes + 2);
      const client = await bench.client();
      await client.mark();
      client.send(bytes);
      await client.mark();
      const reply = client.connection.inbox.take(({ message }) => message !== undefined)?.message;
      return reply ? expectError(reply, 400) : "no reply before the next request's";
    },
  },
  {
    section: "6.3",
    level: "MUST",
    says: "A request with an unsupported method is silently discarded",
    check: (bench) => silenceAbout(bench, wire.message(0x0f6 | wire.messageClass.request)),
  },
  {
    section: "6.3",
    level: "MUST",
    says: "An indication with a method that knows only requests is silently discarded",
    check: (bench) =>
      silenceAbout(
        bench,
        wire.message(wire.method.allocate | wire.messageClass.indication, [wire.requestedTransport()]),
      ),
  },
  {
    section: "6.3",
    level: "MUST",
    says: "A request with a method that knows only indications (Send) is silently discarded",
    check: (bench) => silenceAbout(bench, wire.message(wire.method.send | wire.messageClass.request)),
  },
  {
    section: "6.3",
    level: "MUST",
    says: "A success response that answers nothing is silently discarded",
    check: (bench) => silenceAbout(bench, wire.message(wire.method.binding | wire.messageClass.success)),
  },
  {
    section: "6.3",
    level: "MUST",
    says: "An error response that answers nothing is silently discarded",
    check: (bench) => silenceAbout(bench, wire.message(wire.method.binding | wire.messageClass.error)),
  },
  {
    section: "6.3",
    level: "MUST",
    says: "A message with a wrong FINGERPRINT is silently discarded",
    check: (bench) => {
      const bytes = wire.withFingerprint(wire.message(binding));
      bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
      return silenceAbout(bench, bytes);
    },
  },
  {
    section: "7",
    level: "MUST",
    says: "A request with a right FINGERPRINT is answered",
    check: async (bench) => {
      const client = await bench.client();
      return expectSuccess(await client.transact(wire.withFingerprint(wire.message(binding))));
    },
  },
  {
    section: "6.3",
    level: "MUST",
    says: "Unknown comprehension-optional attributes are ignored",
    check: async (bench) => {
      const client = await bench.client();
      const unknown = [wire.attributeOf(0xfffe, "what"), wire.attributeOf(0x8fff, "is this?")];
      return expectSuccess(await client.request(wire.method.binding, unknown));
    },
  },
  {
    section: "6.3",
    level: "SHOULD",
    says: "Known but unexpected attributes are ignored",
    check: async (bench) => {
      const client = await bench.client();
      return expectSuccess(await client.request(wire.method.binding, [wire.lifetime(600), wire.requestedTransport()]));
    },
  },
  {
    section: "6.3",
    level: "MUST",
    says: "Authentication is checked before unknown attributes are",
    check: async (bench) => {
      const client = await bench.client();
      const reply = await client.request(wire.method.allocate, [wire.requestedTransport(), wire.attributeOf(0x7ffe)]);
      return expectError(reply, 401);
    },
  },
];

export const requests: readonly Requirement[] = [
  {
    section: "6.3.1",
    level: "MUST",
    says: "A request with an unknown comprehension-required attribute is answered with 420 and UNKNOWN-ATTRIBUTES",
    check: async (bench) => {
      const reply = await (await bench.client()).request(wire.method.binding, [wire.attributeOf(0x7ffe, "what?")]);
      const seen = expectError(reply, 420);
      const listed = unknownAttributesOf(reply);
      must(listed.length === 1 && listed[0] === 0x7ffe, `it lists ${listed.map((type) => `0x${hex(type)}`)}`);
      return `${seen}, listing 0x7ffe`;
    },
  },
  {
    section: "6.3.1",
    level: "MUST",
    says: "UNKNOWN-ATTRIBUTES lists every unknown comprehension-required attribute and no optional one",
    check: async (bench) => {
      const types = [0x7ffe, 0x8fff, 0x7ffc, 0x7ffa];
      const reply = await (await bench.client()).request(
        wire.method.binding,
        types.map((type) => wire.attributeOf(type)),
      );
      expectError(reply, 420);
      const listed = new Set(unknownAttributesOf(reply));
      const isRight = listed.size === 3 && [0x7ffe, 0x7ffc, 0x7ffa].every((type) => listed.has(type));
      must(isRight, `it lists ${[...listed].map((type) => `0x${hex(type)}`).join(" ")}`);
      return "three of four listed";
    },
  },
  {
    section: "14.13",
    level: "MUST",
    says: "UNKNOWN-ATTRIBUTES is padded like any attribute, not by repeating a type",
    check: async (bench) => {
      const reply = await (await bench.client()).request(wire.method.binding, [wire.attributeOf(0x7ffe)]);
      expectError(reply, 420);
      const found = wire.find(reply, wire.attribute.unknownAttributes);
      must(found?.value.length === 2, `its length is ${found?.value.length}`);
      return "length 2, two bytes of padding";
    },
  },
  {
    section: "6.3.1",
    level: "MUST",
    says: "An authenticated request with an unknown comprehension-required attribute has no effect but a 420",
    check: async (bench) => {
      const client = await bench.client();
      const seen = expectError(await client.allocate(wire.attributeOf(0x7ffe)), 420);
      expectError(await client.refresh(), 437);
      return `${seen}, and no allocation`;
    },
  },
  {
    section: "6.3.1",
    level: "MUST",
    says: "A retransmitted Binding request gets the same answer",
    check: async (bench) => {
      const client = await bench.client();
      const request = wire.message(binding);
      const [first, second] = [await client.transact(request), await client.transact(request)];
      const addresses = [first, second].map((reply) => wire.find(reply, wire.attribute.xorMappedAddress)?.value);
      must(addresses[0] && addresses[1]?.equals(addresses[0]), "another XOR-MAPPED-ADDRESS");
      return "the same XOR-MAPPED-ADDRESS";
    },
  },
  {
    section: "6.3.1.1",
    level: "SHOULD",
    says: "A response has a SOFTWARE attribute",
    check: async (bench) => {
      const reply = await (await bench.client()).request(wire.method.binding);
      const software = wire.find(reply, wire.attribute.software)?.value;
      must(software, "none in the Binding response");
      return software.toString();
    },
  },
  {
    section: "6.3.1.1",
    level: "MUST",
    says: "XOR-MAPPED-ADDRESS is the source of the request, over UDP",
    check: async (bench) => expectMappedAddress(await bench.client()),
  },
  {
    section: "6.3.1.1",
    level: "MUST",
    says: "XOR-MAPPED-ADDRESS is the source of the connection, over TCP",
    check: async (bench) => expectMappedAddress(await bench.client({ transport: "tcp" })),
  },
  {
    section: "6.3.1.2",
    level: "MUST",
    says: "A response over UDP comes from where the request went to",
    check: async (bench) => {
      const client = await bench.client();
      const request = wire.message(binding);
      client.send(request);
      const { from } = await client.next("the answer", ({ message }) => message !== undefined);
      must(from.address === bench.server.address && from.port === bench.server.port, `${from.address}:${from.port}`);
      return `${from.address}:${from.port}`;
    },
  },
  {
    section: "6.3.2",
    level: "MUST",
    says: "No response is sent to an indication",
    check: (bench) => silenceAbout(bench, wire.message(wire.method.binding | wire.messageClass.indication)),
  },
];
