// RFC 8489 section 5, the message header, and section 14, the shape of attributes: judged over one reply of each kind.

import type { Bench } from "./bench.ts";
import { hex } from "./client.ts";
import { must, notSupported, type Requirement } from "./requirement.ts";
import * as wire from "./wire.ts";

interface Exchange {
  readonly request: Buffer;
  readonly reply: wire.Reading;
}

/** Replies of every kind that one client gets in a short life, each beside its request. */
async function exchanges(bench: Bench): Promise<Exchange[]> {
  const client = await bench.client();
  const all: Exchange[] = [];
  const exchange = async (request: Buffer) => {
    all.push({ request, reply: await client.transact(request) });
  };
  await exchange(wire.message(wire.method.binding));
  await exchange(wire.withFingerprint(wire.message(wire.method.binding)));
  await exchange(wire.message(wire.method.binding, [wire.attributeOf(0x7ffe)]));
  await exchange(wire.message(wire.method.allocate, [wire.requestedTransport()]));
  await exchange(await client.signed(wire.method.refresh, []));
  await exchange(await client.signed(wire.method.allocate, []));
  await exchange(await client.signed(wire.method.allocate, [wire.requestedTransport()], { nonce: Buffer.from("old") }));
  client.hasAllocation = true;
  await exchange(await client.signed(wire.method.allocate, [wire.requestedTransport()]));
  await exchange(await client.signed(wire.method.createPermission, []));
  await exchange(await client.signed(wire.method.refresh, []));
  return all;
}

/** Fails with the first reply that has the fault. */
function none(all: readonly Exchange[], fault: (exchange: Exchange) => string | false): string {
  for (const each of all) {
    const found = fault(each);
    must(!found, `${found}, in the reply 0x${hex(each.reply.type)} to 0x${hex(each.request.readUInt16BE(0))}`);
  }
  return `${all.length} replies looked at`;
}

function isText(value: Buffer, fewerThan: number): boolean {
  const text = value.toString("utf8");
  return Buffer.from(text).equals(value) && [...text].length < fewerThan;
}

/** Whether the bytes may stand between the quotes of a quoted string as they are (RFC 3261 qdtext). */
function isQuotable(value: Buffer): boolean {
  return value.every((byte) => byte >= 0x20 && byte !== 0x7f && byte !== 0x22 && byte !== 0x5c);
}

export const section5: readonly Requirement[] = [
  {
    section: "5",
    level: "MUST",
    says: "The two most significant bits of every message are zero",
    check: async (bench) => none(await exchanges(bench), ({ reply }) => reply.type > 0x3fff && "first bits set"),
  },
  {
    section: "5",
    level: "MUST",
    says: "A response has the method of its request and the class bits of a success (0b10) or an error (0b11)",
    check: async (bench) =>
      none(await exchanges(bench), ({ request, reply }) => {
        const isResponse = [0x100, 0x110].includes(wire.classOf(reply));
        return !(isResponse && wire.methodOf(reply) === request.readUInt16BE(0)) && "wrong type";
      }),
  },
  {
    section: "5",
    level: "MUST",
    says: "The magic cookie is 0x2112A442",
    check: async (bench) =>
      none(
        await exchanges(bench),
        ({ reply }) => reply.cookie !== wire.magicCookie && `cookie 0x${hex(reply.cookie, 8)}`,
      ),
  },
  {
    section: "5",
    level: "MUST",
    says: "Success and error responses carry the transaction ID of their request",
    check: async (bench) =>
      none(
        await exchanges(bench),
        ({ request, reply }) => !request.subarray(8, 20).equals(reply.transactionId) && "another transaction ID",
      ),
  },
  {
    section: "5",
    level: "MUST",
    says: "The length field counts what follows the 20 bytes of header, a multiple of four",
    check: async (bench) =>
      none(
        await exchanges(bench),
        ({ reply }) =>
          (reply.length !== reply.bytes.length - wire.headerBytes || reply.length % 4 !== 0) &&
          `length ${reply.length} of ${reply.bytes.length} bytes`,
      ),
  },
  {
    section: "14",
    level: "MUST",
    says: "Padding bytes are zero",
    check: async (bench) => {
      const all = await exchanges(bench);
      const paddings = all.flatMap(({ reply }) => reply.attributes.map(({ padding }) => padding));
      none(
        all,
        ({ reply }) => reply.attributes.some(({ padding }) => padding.some((byte) => byte)) && "padding not zero",
      );
      return `${paddings.reduce((sum, { length }) => sum + length, 0)} padding bytes seen`;
    },
  },
  {
    section: "14.7",
    level: "MUST",
    says: "A FINGERPRINT is the last attribute and has the right value",
    check: async (bench) => {
      const all = (await exchanges(bench)).filter(({ reply }) => wire.find(reply, wire.attribute.fingerprint));
      if (all.length === 0) notSupported("no reply has a FINGERPRINT");
      return none(all, ({ reply }) => {
        if (reply.attributes.at(-1)?.type !== wire.attribute.fingerprint) return "FINGERPRINT not last";
        return !wire.hasFingerprint(reply) && "wrong FINGERPRINT";
      });
    },
  },
  {
    section: "14.8",
    level: "MUST",
    says: "Every error response has an ERROR-CODE with class 3 to 6 and number 0 to 99",
    check: async (bench) => {
      const errors = (await exchanges(bench)).filter(({ reply }) => wire.classOf(reply) === wire.messageClass.error);
      return none(errors, ({ reply }) => {
        const value = wire.find(reply, wire.attribute.errorCode)?.value;
        if (!value || value.length < 4) return "no ERROR-CODE";
        const [errorClass = 0, number = 0] = [(value[2] ?? 0) & 7, value[3]];
        return (errorClass < 3 || errorClass > 6 || number > 99) && `class ${errorClass}, number ${number}`;
      });
    },
  },
  {
    section: "14.8",
    level: "SHOULD",
    says: "The reserved bits of ERROR-CODE are zero",
    check: async (bench) =>
      none(await exchanges(bench), ({ reply }) => {
        const value = wire.find(reply, wire.attribute.errorCode)?.value;
        return !!value && (value.readUInt16BE(0) !== 0 || ((value[2] ?? 0) & 0xf8) !== 0) && "reserved bits set";
      }),
  },
  {
    section: "14.8",
    level: "MUST",
    says: "A reason phrase is UTF-8 of fewer than 128 characters",
    check: async (bench) =>
      none(await exchanges(bench), ({ reply }) => {
        const value = wire.find(reply, wire.attribute.errorCode)?.value;
        return !!value && !isText(value.subarray(4), 128) && "a bad reason phrase";
      }),
  },
  {
    section: "14.9",
    level: "MUST",
    says: "REALM is UTF-8 of fewer than 128 characters, without quotes",
    check: async (bench) => {
      const all = (await exchanges(bench)).filter(({ reply }) => wire.find(reply, wire.attribute.realm));
      must(all.length > 0, "no reply had a REALM");
      return none(all, ({ reply }) => {
        const value = wire.find(reply, wire.attribute.realm)?.value ?? Buffer.alloc(0);
        return !(isText(value, 128) && !value.includes('"')) && "a bad REALM";
      });
    },
  },
  {
    section: "14.10",
    level: "MUST",
    says: "NONCE is fewer than 128 characters that may stand in a quoted string",
    check: async (bench) => {
      const all = (await exchanges(bench)).filter(({ reply }) => wire.find(reply, wire.attribute.nonce));
      must(all.length > 0, "no reply had a NONCE");
      return none(all, ({ reply }) => {
        const value = wire.find(reply, wire.attribute.nonce)?.value ?? Buffer.alloc(0);
        return !(isText(value, 128) && isQuotable(value)) && "a bad NONCE";
      });
    },
  },
  {
    section: "14.14",
    level: "MUST",
    says: "SOFTWARE is UTF-8 of fewer than 128 characters",
    check: async (bench) => {
      const all = (await exchanges(bench)).filter(({ reply }) => wire.find(reply, wire.attribute.software));
      if (all.length === 0) notSupported("no reply has SOFTWARE");
      return none(all, ({ reply }) => {
        const value = wire.find(reply, wire.attribute.software)?.value ?? Buffer.alloc(0);
        return !isText(value, 128) && "a bad SOFTWARE";
      });
    },
  },
];
