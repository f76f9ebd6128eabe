// RFC 8656 section 5, what holds for every TURN message, and section 6, what an allocation is.

import type { Bench } from "./bench.ts";
import { describe, expectError, expectSuccess } from "./client.ts";
import { must, notSupported, type Requirement } from "./requirement.ts";
import * as wire from "./wire.ts";

const channel = 0x4001;

/** Every request that needs an allocation, as a name and its method and attributes. */
function requestsWithin(peer: wire.Endpoint): readonly (readonly [string, number, readonly wire.Attribute[]])[] {
  return [
    ["Refresh", wire.method.refresh, []],
    ["CreatePermission", wire.method.createPermission, [wire.xorPeerAddress(peer)]],
    ["ChannelBind", wire.method.channelBind, [wire.channelNumber(channel), wire.xorPeerAddress(peer)]],
  ];
}

/** One entry for each of those requests. */
function forEachRequest(
  says: (name: string) => string,
  check: (bench: Bench, method: number, attributes: readonly wire.Attribute[]) => Promise<string>,
): Requirement[] {
  return ["Refresh", "CreatePermission", "ChannelBind"].map((name) => ({
    section: "5",
    level: "MUST",
    says: says(name),
    check: async (bench) => {
      const peer = await bench.peer();
      const [, method = 0, attributes = []] = requestsWithin(peer.at).find(([each]) => each === name) ?? [];
      return check(bench, method, attributes);
    },
  }));
}

export const credentials: readonly Requirement[] = [
  {
    section: "5",
    level: "MUST",
    says: "The long-term credential mechanism is implemented: Allocate without credentials is a 401, with them a success",
    check: async (bench) => {
      const client = await bench.client();
      await client.askForChallenge();
      return expectSuccess(await client.allocate());
    },
  },
  ...forEachRequest(
    (name) => `${name} without credentials is answered with 401`,
    async (bench, method, attributes) => {
      const { client } = await bench.allocation();
      return expectError(await client.request(method, attributes), 401);
    },
  ),
  ...forEachRequest(
    (name) => `${name} by another user than the one who allocated is answered with 441`,
    async (bench, method, attributes) => {
      const credential = bench.otherCredential;
      const { client } = await bench.allocation();
      return expectError(await client.ask(method, attributes, { credential }), 441);
    },
  ),
  {
    section: "5",
    level: "MUST",
    says: "A Refresh to zero by another user leaves the allocation alone",
    check: async (bench) => {
      const credential = bench.otherCredential;
      const { client } = await bench.allocation();
      expectError(await client.ask(wire.method.refresh, [wire.lifetime(0)], { credential }), 441);
      return expectSuccess(await client.refresh());
    },
  },
];

export const fiveTuples: readonly Requirement[] = [
  ...forEachRequest(
    (name) => `${name} on a five-tuple without allocation is answered with 437`,
    async (bench, method, attributes) => expectError(await (await bench.client()).ask(method, attributes), 437),
  ),
  {
    section: "5",
    level: "MUST",
    says: "A Send indication on a five-tuple without allocation is silently ignored",
    check: async (bench) => {
      const [client, peer] = [await bench.client(), await bench.peer()];
      const attributes = [wire.xorPeerAddress(peer.at), wire.data("nobody")];
      await client.expectSilence(wire.message(wire.method.send | wire.messageClass.indication, attributes));
      const { client: other } = await bench.allocation();
      expectSuccess(await other.createPermission(peer.at));
      other.sendTo(peer.at, "somebody");
      await peer.expect("somebody");
      return "no reply, nothing at the peer";
    },
  },
  {
    section: "5",
    level: "MUST",
    says: "ChannelData on a five-tuple without allocation is silently ignored",
    check: async (bench) => {
      await (await bench.client()).expectSilence(wire.channelData(channel, "nobody"));
      return "no reply before the next request's";
    },
  },
  {
    section: "5",
    level: "MUST",
    says: "The allocation of one five-tuple is not that of another port of the same client",
    check: async (bench) => {
      await bench.allocation();
      return expectError(await (await bench.client()).refresh(), 437);
    },
  },
  {
    section: "6",
    level: "MUST",
    says: "The relayed transport address is unique across allocations",
    check: async (bench) => {
      const all = [];
      for (let i = 0; i < 8; i++) all.push((await bench.allocation()).relayed);
      const texts = new Set(all.map(({ address, port }) => `${address} ${port}`));
      must(texts.size === all.length, `${all.length} allocations have ${texts.size} addresses`);
      return `${all.length} allocations, ${texts.size} addresses`;
    },
  },
];

function softwareOf(reply: wire.Reading): string {
  const software = wire.find(reply, wire.attribute.software)?.value;
  must(software, `the answer "${describe(reply)}" has none`);
  return software.toString();
}

export const software: readonly Requirement[] = [
  {
    section: "5",
    level: "SHOULD",
    says: "An Allocate success response has SOFTWARE",
    check: async (bench) => softwareOf((await bench.allocation()).reply),
  },
  {
    section: "5",
    level: "SHOULD",
    says: "An Allocate error response has SOFTWARE",
    check: async (bench) => softwareOf((await (await bench.client()).askForChallenge()).reply),
  },
  {
    section: "5",
    level: "SHOULD",
    says: "A Refresh response has SOFTWARE",
    check: async (bench) => softwareOf(await (await bench.allocation()).client.refresh()),
  },
];

export const transports: readonly Requirement[] = [
  {
    section: "5",
    level: "MUST",
    says: "UDP is supported between client and server",
    check: async (bench) => `relayed ${(await bench.allocation()).relayed.address}`,
  },
  {
    section: "5",
    level: "SHOULD",
    says: "TCP is supported between client and server",
    check: async (bench) => `relayed ${(await bench.allocation({ transport: "tcp" })).relayed.address}`,
  },
  {
    section: "5",
    level: "SHOULD",
    says: "IPv6 is supported between client and server",
    check: async (bench) => `relayed ${(await bench.allocation({ server: bench.server6 })).relayed.address}`,
  },
];

export const retransmissions: readonly Requirement[] = [
  {
    section: "5",
    level: "MUST",
    says: "A retransmitted Allocate gets the same relayed address again, not a 437",
    check: async (bench) => {
      const client = await bench.client();
      const request = await client.signed(wire.method.allocate, [wire.requestedTransport()]);
      const first = await client.transact(request);
      expectSuccess(first);
      client.hasAllocation = true;
      const second = await client.transact(request);
      expectSuccess(second);
      const [one, two] = [first, second].map((reply) => wire.find(reply, wire.attribute.xorRelayedAddress)?.value);
      must(one && two?.equals(one), "another relayed address");
      return "the same relayed address";
    },
  },
  ...["CreatePermission", "ChannelBind"].map(
    (name): Requirement => ({
      section: "5",
      level: "MUST",
      says: `A retransmitted ${name} succeeds again`,
      check: async (bench) => {
        const [{ client }, peer] = [await bench.allocation(), await bench.peer()];
        const [, method = 0, attributes = []] = requestsWithin(peer.at).find(([each]) => each === name) ?? [];
        const request = await client.signed(method, attributes);
        expectSuccess(await client.transact(request));
        return expectSuccess(await client.transact(request));
      },
    }),
  ),
  {
    section: "5",
    level: "MUST",
    says: "A retransmitted Refresh to zero is answered with success or 437",
    check: async (bench) => {
      const { client } = await bench.allocation();
      const request = await client.signed(wire.method.refresh, [wire.lifetime(0)]);
      expectSuccess(await client.transact(request));
      client.hasAllocation = false;
      const second = await client.transact(request);
      return wire.errorCodeOf(second) === 437 ? describe(second) : expectSuccess(second);
    },
  },
];

const mostAllocations = 128;

export const quotas: readonly Requirement[] = [
  {
    section: "5",
    level: "RECOMMENDED",
    says: "Allocations of one user are limited, and one more is refused with 486",
    check: async (bench) => {
      for (let count = 0; count < mostAllocations; count++) {
        const reply = await (await bench.client()).allocate();
        if (wire.errorCodeOf(reply) !== 0) return `${expectError(reply, 486)} after ${count} allocations`;
      }
      notSupported(`no limit met within ${mostAllocations} allocations`);
    },
  },
];
