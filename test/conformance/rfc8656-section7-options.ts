// RFC 8656 section 7.2, the optional attributes of an Allocate: address families, dual allocations, even ports,
// reservations, and the Don't Fragment bit.

import { type Bench, supportedOr } from "./bench.ts";
import { expectError, expectSuccess } from "./client.ts";
import { must, notSupported, type Requirement } from "./requirement.ts";
import * as wire from "./wire.ts";

const { attribute } = wire;
const unknownToken = wire.attributeOf(attribute.reservationToken, Buffer.from("no token"));

function relayedOf(reply: wire.Reading): wire.Endpoint {
  expectSuccess(reply);
  const [relayed] = wire.xorAddresses(reply, attribute.xorRelayedAddress);
  must(relayed, "no XOR-RELAYED-ADDRESS");
  return relayed;
}

export const families: readonly Requirement[] = [
  {
    section: "7.2",
    level: "MUST",
    says: "Without REQUESTED-ADDRESS-FAMILY the relayed address is IPv4",
    check: async (bench) => {
      const { relayed } = await bench.allocation();
      must(!relayed.address.includes(":"), relayed.address);
      return relayed.address;
    },
  },
  {
    section: "7.2",
    level: "MUST",
    says: "REQUESTED-ADDRESS-FAMILY 1 gives an IPv4 relayed address",
    check: async (bench) => {
      const { relayed } = await bench.allocation({ with: [wire.requestedAddressFamily(1)] });
      must(!relayed.address.includes(":"), relayed.address);
      return relayed.address;
    },
  },
  {
    section: "7.2",
    level: "MUST",
    says: "REQUESTED-ADDRESS-FAMILY 2 gives an IPv6 relayed address, or 440",
    check: async (bench) => {
      const reply = await (await bench.client()).allocate(wire.requestedAddressFamily(2));
      if (wire.errorCodeOf(reply) === 440) notSupported(expectError(reply, 440));
      const relayed = relayedOf(reply);
      must(relayed.address.includes(":"), relayed.address);
      return relayed.address;
    },
  },
  {
    section: "7.2",
    level: "MUST",
    says: "An IPv6 client is given an IPv4 relayed address unless it asks for another",
    check: async (bench) => {
      const { relayed } = await bench.allocation({ server: bench.server6 });
      must(!relayed.address.includes(":"), relayed.address);
      return relayed.address;
    },
  },
  {
    section: "7.2",
    level: "MUST",
    says: "A REQUESTED-ADDRESS-FAMILY that does not exist is answered with 440",
    check: async (bench) => expectError(await (await bench.client()).allocate(wire.requestedAddressFamily(9)), 440),
  },
  {
    section: "18.6",
    level: "MUST",
    says: "The reserved bytes of REQUESTED-ADDRESS-FAMILY are ignored",
    check: async (bench) => {
      const ragged = wire.attributeOf(attribute.requestedAddressFamily, Buffer.of(1, 9, 9, 9));
      return relayedOf(await (await bench.client()).allocate(ragged)).address;
    },
  },
];

export const dual: readonly Requirement[] = [
  {
    section: "7.2",
    level: "MUST",
    says: "ADDITIONAL-ADDRESS-FAMILY 2 gives an IPv4 and an IPv6 relayed address, or tells why in ADDRESS-ERROR-CODE",
    check: async (bench) => {
      const { relayed, relayed6 } = await bench.dualAllocation();
      return `${relayed.address} and ${relayed6.address}`;
    },
  },
  {
    section: "7.2",
    level: "MUST",
    says: "ADDITIONAL-ADDRESS-FAMILY 1 is answered with 400",
    check: async (bench) => {
      await bench.dualAllocation();
      return expectError(await (await bench.client()).allocate(wire.additionalAddressFamily(1)), 400);
    },
  },
  {
    section: "7.2",
    level: "MUST",
    says: "REQUESTED-ADDRESS-FAMILY together with ADDITIONAL-ADDRESS-FAMILY is answered with 400",
    check: async (bench) => {
      await bench.dualAllocation();
      const both = [wire.requestedAddressFamily(1), wire.additionalAddressFamily(2)];
      return expectError(await (await bench.client()).allocate(...both), 400);
    },
  },
  {
    section: "7.2",
    level: "MUST",
    says: "EVEN-PORT with R set together with ADDITIONAL-ADDRESS-FAMILY is answered with 400",
    check: async (bench) => {
      await bench.dualAllocation();
      const both = [wire.evenPort(true), wire.additionalAddressFamily(2)];
      return expectError(await (await bench.client()).allocate(...both), 400);
    },
  },
  {
    section: "8.1",
    level: "MUST",
    says: "Deleting one family of a dual allocation leaves the other and its permissions alone",
    check: async (bench) => {
      const [{ client, relayed6 }, peer] = [await bench.dualAllocation(), await bench.peer({ family: 6 })];
      expectSuccess(await client.createPermission(peer.at));
      expectSuccess(await client.refresh(wire.lifetime(0), wire.requestedAddressFamily(1)));
      client.hasAllocation = true;
      client.sendTo(peer.at, "still here");
      await peer.expect("still here", relayed6);
      return "IPv6 relays after IPv4 is gone";
    },
  },
  {
    section: "8.1",
    level: "MUST",
    says: "A Refresh to zero without a family deletes both",
    check: async (bench) => {
      const { client } = await bench.dualAllocation();
      expectSuccess(await client.refresh(wire.lifetime(0)));
      return expectError(await client.refresh(wire.requestedAddressFamily(2)), 437);
    },
  },
  {
    section: "10.1",
    level: "MUST",
    says: "A dual allocation takes permissions of both families in one request",
    check: async (bench) => {
      const { client } = await bench.dualAllocation();
      const peers = [await bench.peer(), await bench.peer({ family: 6 })];
      return expectSuccess(await client.createPermission(...peers.map(({ at }) => at)));
    },
  },
];

export const ports: readonly Requirement[] = [
  {
    section: "7.2",
    level: "MUST",
    says: "EVEN-PORT gives an even relayed port, or 508",
    check: async (bench) => {
      for (let i = 0; i < 4; i++) {
        const reply = await (await bench.client()).allocate(wire.evenPort(false));
        supportedOr(reply, "EVEN-PORT");
        const { port } = relayedOf(reply);
        must(port % 2 === 0, `port ${port}`);
      }
      return "four of four even";
    },
  },
  {
    section: "18.7",
    level: "MUST",
    says: "The reserved bits of EVEN-PORT are ignored",
    check: async (bench) => {
      const reply = await (await bench.client()).allocate(wire.attributeOf(attribute.evenPort, Buffer.of(0x7f)));
      supportedOr(reply, "EVEN-PORT");
      must(relayedOf(reply).port % 2 === 0, "odd port");
      must(!wire.find(reply, attribute.reservationToken), "a port was reserved");
      return "R not set, nothing reserved";
    },
  },
  {
    section: "7.2",
    level: "MUST",
    says: "EVEN-PORT with R set gives an even port and a RESERVATION-TOKEN of 8 bytes, or 508",
    check: async (bench) => {
      const reply = await (await bench.client()).allocate(wire.evenPort(true));
      supportedOr(reply, "a reservation");
      const { port } = relayedOf(reply);
      const token = wire.find(reply, attribute.reservationToken)?.value;
      must(port % 2 === 0, `port ${port}`);
      must(token?.length === 8, `a token of ${token?.length ?? 0} bytes`);
      return `port ${port}`;
    },
  },
  {
    section: "7.2",
    level: "MUST",
    says: "RESERVATION-TOKEN from another five-tuple gets the next port of the same address, once",
    check: async (bench) => {
      const first = await (await bench.client()).allocate(wire.evenPort(true));
      supportedOr(first, "a reservation");
      const { address, port } = relayedOf(first);
      const token = wire.attributeOf(
        attribute.reservationToken,
        wire.find(first, attribute.reservationToken)?.value ?? notSupported("no token was given"),
      );
      const next = relayedOf(await (await bench.client()).allocate(token));
      must(next.address === address && next.port === port + 1, `${next.address}:${next.port} after ${address}:${port}`);
      expectError(await (await bench.client()).allocate(token), 508);
      return `${port} then ${next.port}, then 508`;
    },
  },
  {
    section: "7.2",
    level: "MUST",
    says: "A RESERVATION-TOKEN that is not valid is answered with 508",
    check: async (bench) => {
      const reply = await (await bench.client()).allocate(unknownToken);
      if (wire.errorCodeOf(reply) === 420) notSupported(expectError(reply, 420));
      return expectError(reply, 508);
    },
  },
  ...[
    ["EVEN-PORT", wire.evenPort(false)] as const,
    ["REQUESTED-ADDRESS-FAMILY", wire.requestedAddressFamily(1)] as const,
  ].map(
    ([name, other]): Requirement => ({
      section: "7.2",
      level: "MUST",
      says: `RESERVATION-TOKEN together with ${name} is answered with 400`,
      check: (bench) => refusedBeside(bench, other),
    }),
  ),
  {
    section: "7.2",
    level: "MUST",
    says: "RESERVATION-TOKEN together with ADDITIONAL-ADDRESS-FAMILY is answered with 400",
    check: async (bench) => {
      await bench.dualAllocation();
      return refusedBeside(bench, wire.additionalAddressFamily(2));
    },
  },
];

/** Passes when a reservation token beside that attribute is a bad request. */
async function refusedBeside(bench: Bench, other: wire.Attribute): Promise<string> {
  const reply = await (await bench.client()).allocate(unknownToken, other);
  if (wire.errorCodeOf(reply) === 420) notSupported(expectError(reply, 420));
  return expectError(reply, 400);
}

export const fragmentation: readonly Requirement[] = [
  {
    section: "7.2",
    level: "MUST",
    says: "DONT-FRAGMENT in an Allocate is accepted, or answered with 420 that lists it",
    check: async (bench) => {
      const reply = await (await bench.client()).allocate(wire.attributeOf(attribute.dontFragment));
      if (wire.errorCodeOf(reply) !== 420) return expectSuccess(reply);
      const listed = wire.find(reply, attribute.unknownAttributes)?.value;
      must(listed?.length === 2 && listed.readUInt16BE(0) === attribute.dontFragment, "420 does not list it");
      return notSupported("420, listing DONT-FRAGMENT");
    },
  },
];
