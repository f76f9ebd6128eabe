// RFC 8656 section 7.2: what an Allocate request must be, and what it is given.

import { expectError, expectSuccess } from "./client.ts";
import { must, type Requirement } from "./requirement.ts";
import * as wire from "./wire.ts";

/** As the RFC has it where nothing else is configured (section 6). */
const defaultLifetimeSeconds = 600;
const greatestLifetimeSeconds = 3600;

export function secondsOf(reply: wire.Reading): number {
  expectSuccess(reply);
  const value = wire.find(reply, wire.attribute.lifetime)?.value;
  must(value?.length === 4, "no LIFETIME of four bytes");
  return value.readUInt32BE(0);
}

export const checks: readonly Requirement[] = [
  {
    section: "7.2",
    level: "MUST",
    says: "Allocate on a five-tuple that has an allocation is answered with 437",
    check: async (bench) => expectError(await (await bench.allocation()).client.allocate(), 437),
  },
  {
    section: "7.2",
    level: "MUST",
    says: "Allocate without REQUESTED-TRANSPORT is answered with 400",
    check: async (bench) => expectError(await (await bench.client()).ask(wire.method.allocate), 400),
  },
  {
    section: "7.2",
    level: "MUST",
    says: "Allocate with a malformed REQUESTED-TRANSPORT is answered with 400",
    check: async (bench) => {
      const short = wire.attributeOf(wire.attribute.requestedTransport, Buffer.of(17));
      return expectError(await (await bench.client()).ask(wire.method.allocate, [short]), 400);
    },
  },
  {
    section: "7.2",
    level: "MUST",
    says: "Allocate for a transport that is not supported is answered with 442",
    check: async (bench) => {
      const experimental = wire.requestedTransport(253);
      return expectError(await (await bench.client()).ask(wire.method.allocate, [experimental]), 442);
    },
  },
  {
    section: "18.8",
    level: "MUST",
    says: "The reserved bytes of REQUESTED-TRANSPORT are ignored",
    check: async (bench) => {
      const client = await bench.client();
      const ragged = wire.attributeOf(wire.attribute.requestedTransport, Buffer.of(17, 1, 2, 3));
      return expectSuccess(await client.ask(wire.method.allocate, [ragged]));
    },
  },
  {
    section: "7.2",
    level: "MUST",
    says: "A refused Allocate leaves the five-tuple free",
    check: async (bench) => {
      const client = await bench.client();
      expectError(await client.ask(wire.method.allocate), 400);
      return expectSuccess(await client.allocate());
    },
  },
];

export const response: readonly Requirement[] = [
  {
    section: "7.2",
    level: "MUST",
    says: "The success response has one XOR-RELAYED-ADDRESS with a port",
    check: async (bench) => {
      const { reply } = await bench.allocation();
      const all = wire.xorAddresses(reply, wire.attribute.xorRelayedAddress);
      must(all.length === 1 && all[0]?.port, `it has ${all.length}`);
      return `${all[0].address}:${all[0].port}`;
    },
  },
  {
    section: "7.2",
    level: "MUST",
    says: "The success response has XOR-MAPPED-ADDRESS, the client's own",
    check: async (bench) => {
      const { reply, client } = await bench.allocation();
      const [mapped] = wire.xorAddresses(reply, wire.attribute.xorMappedAddress);
      const { local } = client.connection;
      must(mapped?.address === local.address && mapped.port === local.port, `it is ${mapped?.address}:${mapped?.port}`);
      return `${mapped.address}:${mapped.port}`;
    },
  },
  {
    section: "7.2",
    level: "MUST",
    says: "The success response has LIFETIME",
    check: async (bench) => `${secondsOf((await bench.allocation()).reply)} s`,
  },
  {
    section: "7.2",
    level: "SHOULD",
    says: "The relayed port is one of 49152 to 65535",
    check: async (bench) => {
      const { port } = (await bench.allocation()).relayed;
      must(port >= 49152, `port ${port}`);
      return `port ${port}`;
    },
  },
  {
    section: "7.2",
    level: "RECOMMENDED",
    says: "Relayed ports are random: eight do not come in steps of one size",
    check: async (bench) => {
      const ports: number[] = [];
      for (let i = 0; i < 8; i++) ports.push((await bench.allocation()).relayed.port);
      const steps = new Set(ports.slice(1).map((port, i) => port - (ports[i] ?? 0)));
      must(steps.size > 3, `ports ${ports.join(" ")}`);
      return `ports ${ports.join(" ")}`;
    },
  },
];

export const lifetimes: readonly Requirement[] = [
  {
    section: "7.2",
    level: "MUST",
    says: "Without LIFETIME an allocation gets the default lifetime, 600 seconds",
    check: async (bench) => {
      const seconds = secondsOf((await bench.allocation()).reply);
      must(seconds === defaultLifetimeSeconds, `${seconds} s`);
      return `${seconds} s`;
    },
  },
  {
    section: "7.2",
    level: "MUST",
    says: "A LIFETIME below the default is raised to it",
    check: async (bench) => {
      const seconds = secondsOf((await bench.allocation({ with: [wire.lifetime(60)] })).reply);
      must(seconds === defaultLifetimeSeconds, `${seconds} s for 60`);
      return `${seconds} s for 60`;
    },
  },
  {
    section: "7.2",
    level: "MUST",
    says: "LIFETIME 0 in an Allocate is raised to the default like any other",
    check: async (bench) => {
      const seconds = secondsOf((await bench.allocation({ with: [wire.lifetime(0)] })).reply);
      must(seconds === defaultLifetimeSeconds, `${seconds} s for 0`);
      return `${seconds} s for 0`;
    },
  },
  {
    section: "7.2",
    level: "MUST",
    says: "A LIFETIME above the default is granted up to the server's greatest",
    check: async (bench) => {
      const seconds = secondsOf((await bench.allocation({ with: [wire.lifetime(777)] })).reply);
      must(seconds >= defaultLifetimeSeconds && seconds <= 777, `${seconds} s for 777`);
      return `${seconds} s for 777`;
    },
  },
  {
    section: "7.2",
    level: "RECOMMENDED",
    says: "No LIFETIME above 3600 seconds is granted",
    check: async (bench) => {
      const seconds = secondsOf((await bench.allocation({ with: [wire.lifetime(0xffffffff)] })).reply);
      must(seconds <= greatestLifetimeSeconds, `${seconds} s for 4294967295`);
      return `${seconds} s for 4294967295`;
    },
  },
];
