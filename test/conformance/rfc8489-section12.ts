// RFC 8489 section 12, the basic server that answers Binding requests, and section 14.2, what it answers.

import { describe, expectSuccess } from "./client.ts";
import { must, notSupported, type Requirement } from "./requirement.ts";
import * as wire from "./wire.ts";

export const addresses: readonly Requirement[] = [
  {
    section: "14.2",
    level: "MUST",
    says: "XOR-MAPPED-ADDRESS of IPv4 is a zero byte, family 1, port and address XORed with the cookie",
    check: async (bench) => {
      const client = await bench.client();
      const { local } = client.connection;
      if (local.address.includes(":")) notSupported("the server's address is IPv6");
      const value = wire.find(await client.request(wire.method.binding), wire.attribute.xorMappedAddress)?.value;
      const expected = Buffer.of(0, 1, 0, 0, 0, 0, 0, 0);
      expected.writeUInt16BE(local.port ^ 0x2112, 2);
      expected.writeUInt32BE((wire.addressBytes(local.address).readUInt32BE(0) ^ 0x2112a442) >>> 0, 4);
      must(value?.equals(expected), `${value?.toString("hex")} instead of ${expected.toString("hex")}`);
      return expected.toString("hex");
    },
  },
  {
    section: "14.2",
    level: "MUST",
    says: "XOR-MAPPED-ADDRESS of IPv6 is XORed with the cookie and the transaction ID",
    check: async (bench) => {
      const client = await bench.client({ server: bench.server6 });
      const reply = await client.request(wire.method.binding);
      const value = wire.find(reply, wire.attribute.xorMappedAddress)?.value;
      must(value?.length === 20 && value[0] === 0 && value[1] === 2, `value ${value?.toString("hex")}`);
      const [mapped] = wire.xorAddresses(reply, wire.attribute.xorMappedAddress);
      const { local } = client.connection;
      must(mapped?.address === local.address && mapped.port === local.port, `${mapped?.address}:${mapped?.port}`);
      return `${mapped.address}:${mapped.port}`;
    },
  },
];

export const basicServer: readonly Requirement[] = [
  {
    section: "12",
    level: "MUST",
    says: "The Binding method is supported over UDP",
    check: async (bench) => expectSuccess(await (await bench.client()).request(wire.method.binding)),
  },
  {
    section: "12",
    level: "MUST",
    says: "The Binding method is supported over TCP",
    check: async (bench) =>
      expectSuccess(await (await bench.client({ transport: "tcp" })).request(wire.method.binding)),
  },
  {
    section: "12",
    level: "SHOULD NOT",
    says: "Binding asks for no credentials",
    check: async (bench) => {
      const reply = await (await bench.client()).request(wire.method.binding);
      must(wire.errorCodeOf(reply) !== 401, describe(reply));
      return describe(reply);
    },
  },
  {
    section: "12",
    level: "SHOULD",
    says: "A client of RFC 3489, without the magic cookie, gets its address in MAPPED-ADDRESS (RFC 5389 section 12.2)",
    check: async (bench) => {
      const client = await bench.client();
      const classic = wire.message(wire.method.binding | wire.messageClass.request);
      classic.writeUInt32BE(0x01020304, 4);
      await client.mark();
      client.send(classic);
      await client.mark();
      const reply = client.connection.inbox.take(({ message }) => message !== undefined)?.message;
      if (!reply) notSupported("requests without the cookie are discarded");
      must(
        reply.bytes.subarray(4, 20).equals(classic.subarray(4, 20)),
        "the 16 bytes of transaction ID are not echoed",
      );
      const value = wire.find(reply, wire.attribute.mappedAddress)?.value;
      const { local } = client.connection;
      const family = local.address.includes(":") ? 2 : 1;
      const expected = Buffer.concat([
        Buffer.of(0, family, local.port >> 8, local.port & 255),
        wire.addressBytes(local.address),
      ]);
      must(value?.equals(expected), `MAPPED-ADDRESS ${value?.toString("hex")}, expected ${expected.toString("hex")}`);
      return expected.toString("hex");
    },
  },
];
