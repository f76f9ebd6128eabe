// RFC 5780: NAT behaviour discovery, by a server with two addresses and two ports.

import type { Bench } from "./bench.ts";
import { type Client, describe, expectError, expectSuccess } from "./client.ts";
import type { Frame } from "./connection.ts";
import { must, notSupported, type Requirement } from "./requirement.ts";
import * as wire from "./wire.ts";

const changeRequestType = 0x0003;
const paddingType = 0x0026;
const responsePortType = 0x0027;
const responseOriginType = 0x802b;
const otherAddressType = 0x802c;

const changeIp = 4;
const changePort = 2;

const changeRequest = (flags: number): wire.Attribute => wire.attributeOf(changeRequestType, Buffer.of(0, 0, 0, flags));
const responsePort = (port: number): wire.Attribute =>
  wire.attributeOf(responsePortType, Buffer.of(port >> 8, port & 255, 0, 0));

/** An address in the format of MAPPED-ADDRESS, and `undefined` when it is of no length that an address has. */
function plainAddress(reply: wire.Reading, type: number): wire.Endpoint | undefined {
  const value = wire.find(reply, type)?.value;
  if (value?.length !== 8 && value?.length !== 20) return undefined;
  return { address: wire.addressText(value.subarray(4)), port: value.readUInt16BE(2) };
}

function isSame(one: wire.Endpoint | undefined, other: wire.Endpoint): boolean {
  return one?.address === other.address && one.port === other.port;
}

function text(endpoint: wire.Endpoint | undefined): string {
  return endpoint ? `${endpoint.address}:${endpoint.port}` : "nothing";
}

interface Discovery {
  readonly client: Client;
  /** Where the requests go to, Da:Dp of the RFC's table. */
  readonly here: wire.Endpoint;
  /** OTHER-ADDRESS, Ca:Cp. */
  readonly other: wire.Endpoint;
  readonly reply: wire.Reading;
}

async function discovery(bench: Bench): Promise<Discovery> {
  const client = await bench.client();
  const reply = await client.request(wire.method.binding);
  expectSuccess(reply);
  const other = plainAddress(reply, otherAddressType) ?? notSupported("no OTHER-ADDRESS in the Binding response");
  return { client, here: bench.server, other, reply };
}

async function answerFrom(client: Client, attributes: readonly wire.Attribute[]): Promise<Frame> {
  const request = wire.message(wire.method.binding, attributes);
  client.send(request);
  const id = request.subarray(8, 20);
  return client.next("the answer", ({ message }) => message?.transactionId.equals(id) === true);
}

/** One row of the table in section 6.1. */
function changeRow(says: string, flags: number, source: (discovery: Discovery) => wire.Endpoint): Requirement {
  return {
    section: "6.1",
    level: "MUST",
    says,
    check: async (bench) => {
      const found = await discovery(bench);
      const { from, message } = await answerFrom(found.client, [changeRequest(flags)]);
      const wanted = source(found);
      must(message && wire.errorCodeOf(message) === 0, `answered with ${message && describe(message)}`);
      must(isSame(from, wanted), `it comes from ${text(from)}, not ${text(wanted)}`);
      const [origin, other] = [plainAddress(message, responseOriginType), plainAddress(message, otherAddressType)];
      must(isSame(origin, wanted), `RESPONSE-ORIGIN is ${text(origin)}`);
      must(isSame(other, found.other), `OTHER-ADDRESS has become ${text(other)}`);
      return `from ${text(from)}`;
    },
  };
}

export const discoveries: readonly Requirement[] = [
  {
    section: "6",
    level: "MUST",
    says: "A server without OTHER-ADDRESS answers CHANGE-REQUEST with 420",
    check: async (bench) => {
      const client = await bench.client();
      const isServer = wire.find(await client.request(wire.method.binding), otherAddressType) !== undefined;
      if (isServer) return "it has OTHER-ADDRESS";
      return expectError(await client.request(wire.method.binding, [changeRequest(changeIp | changePort)]), 420);
    },
  },
  {
    section: "6.1",
    level: "MUST",
    says: "A Binding response has OTHER-ADDRESS, of another address and another port",
    check: async (bench) => {
      const { here, other } = await discovery(bench);
      must(other.address !== here.address && other.port !== here.port, `${text(other)} beside ${text(here)}`);
      return text(other);
    },
  },
  {
    section: "6.1",
    level: "MUST",
    says: "A Binding response has RESPONSE-ORIGIN, where it comes from",
    check: async (bench) => {
      const { reply, here } = await discovery(bench);
      const origin = plainAddress(reply, responseOriginType);
      must(isSame(origin, here), `it is ${text(origin)}`);
      return text(origin);
    },
  },
  {
    section: "6.1",
    level: "MUST",
    says: "A Binding response has both MAPPED-ADDRESS and XOR-MAPPED-ADDRESS",
    check: async (bench) => {
      const { reply, client } = await discovery(bench);
      const mapped = plainAddress(reply, wire.attribute.mappedAddress);
      const [xored] = wire.xorAddresses(reply, wire.attribute.xorMappedAddress);
      const { local } = client.connection;
      must(isSame(mapped, local), `MAPPED-ADDRESS is ${text(mapped)}`);
      must(isSame(xored, local), `XOR-MAPPED-ADDRESS is ${text(xored)}`);
      return text(local);
    },
  },
  changeRow("CHANGE-REQUEST without flags is answered from where it went to", 0, ({ here }) => here),
  changeRow('"Change port" is answered from the same address and the other port', changePort, ({ here, other }) => ({
    address: here.address,
    port: other.port,
  })),
  changeRow('"Change IP" is answered from the other address and the same port', changeIp, ({ here, other }) => ({
    address: other.address,
    port: here.port,
  })),
  changeRow(
    '"Change IP" and "change port" are answered from OTHER-ADDRESS',
    changeIp | changePort,
    ({ other }) => other,
  ),
  {
    section: "6.1",
    level: "MUST",
    says: "OTHER-ADDRESS itself answers, and names the first address as the other",
    check: async (bench) => {
      const { other, here } = await discovery(bench);
      const reply = await (await bench.client({ server: other })).request(wire.method.binding);
      expectSuccess(reply);
      const back = plainAddress(reply, otherAddressType);
      must(isSame(back, here), `it names ${text(back)}`);
      return `${text(other)} names ${text(here)}`;
    },
  },
  {
    section: "7.5",
    level: "MUST",
    says: "RESPONSE-PORT has the response sent to that port of the client's address, if it is supported",
    check: async (bench) => {
      const { client } = await discovery(bench);
      const elsewhere = await bench.client();
      const request = wire.message(wire.method.binding, [responsePort(elsewhere.connection.local.port)]);
      await client.mark();
      client.send(request);
      await client.mark();
      const refusal = client.connection.inbox.take(({ message }) => message !== undefined)?.message;
      if (refusal && wire.errorCodeOf(refusal) === 420) notSupported(describe(refusal));
      must(!refusal, `it is answered to the source port: ${refusal && describe(refusal)}`);
      const id = request.subarray(8, 20);
      await elsewhere.next("the answer at the other port", ({ message }) => message?.transactionId.equals(id) === true);
      return "at the other port";
    },
  },
  {
    section: "6.1",
    level: "MUST",
    says: "A request with PADDING is answered with PADDING, if it is supported",
    check: async (bench) => {
      const { client } = await discovery(bench);
      const reply = await client.request(wire.method.binding, [wire.attributeOf(paddingType, Buffer.alloc(1024, "p"))]);
      if (wire.errorCodeOf(reply) === 420) notSupported(describe(reply));
      const padding = wire.find(reply, paddingType)?.value;
      must(padding, `no PADDING in the answer: ${describe(reply)}`);
      return `${padding.length} bytes`;
    },
  },
  {
    section: "6.1",
    level: "MUST",
    says: "PADDING together with RESPONSE-PORT is answered with 400",
    check: async (bench) => {
      const { client } = await discovery(bench);
      const both = [wire.attributeOf(paddingType, Buffer.alloc(256)), responsePort(client.connection.local.port)];
      const reply = await client.request(wire.method.binding, both);
      if (wire.errorCodeOf(reply) === 420) notSupported(describe(reply));
      return expectError(reply, 400);
    },
  },
];
