// RFC 8656 sections 9 and 10: permissions, and the CreatePermission request.

import { expectData } from "./bench.ts";
import { expectError, expectSuccess } from "./client.ts";
import type { Requirement } from "./requirement.ts";
import * as wire from "./wire.ts";

const someIpv6Peer = { address: "2001:db8::5", port: 9 };

export const permissions: readonly Requirement[] = [
  {
    section: "9",
    level: "MUST",
    says: "A permission lets a peer of its IP address send to the client",
    check: async (bench) => {
      const [{ client, relayed }, peer] = [await bench.allocation(), await bench.peer()];
      expectSuccess(await client.createPermission(peer.at));
      peer.send(relayed, "may I?");
      await expectData(client, "may I?", peer.at);
      return "a Data indication came";
    },
  },
  {
    section: "9",
    level: "MUST",
    says: "Ports are not considered: any port of the permitted address may send",
    check: async (bench) => {
      const { client, relayed } = await bench.allocation();
      const [named, other] = [await bench.peer(), await bench.peer()];
      expectSuccess(await client.createPermission(named.at));
      other.send(relayed, "another port");
      await expectData(client, "another port", other.at);
      return "a Data indication came";
    },
  },
  {
    section: "9",
    level: "MUST",
    says: "A datagram from an address without permission is silently discarded",
    check: async (bench) => {
      const { client, relayed } = await bench.allocation();
      const [friend, stranger] = [await bench.peer(), await bench.peer({ nth: 1 })];
      expectSuccess(await client.createPermission(friend.at));
      stranger.send(relayed, "from a stranger");
      friend.send(relayed, "from a friend");
      await expectData(client, "from a friend", friend.at);
      await client.expectNothing();
      return "the permitted peer's came, the other's did not";
    },
  },
  {
    section: "9",
    level: "MUST",
    says: "An allocation begins without permissions",
    check: async (bench) => {
      const { client, relayed } = await bench.allocation();
      const [peer, other] = [await bench.peer(), await bench.peer({ nth: 1 })];
      peer.send(relayed, "too early");
      expectSuccess(await client.createPermission(other.at));
      other.send(relayed, "a marker behind it");
      await expectData(client, "a marker behind it", other.at);
      expectSuccess(await client.createPermission(peer.at));
      peer.send(relayed, "in time");
      await expectData(client, "in time", peer.at);
      return "nothing came before the permission";
    },
  },
  {
    section: "9",
    level: "MUST",
    says: "Permissions of one allocation are nothing to another of the same user",
    check: async (bench) => {
      const [first, second, peer] = [await bench.allocation(), await bench.allocation(), await bench.peer()];
      expectSuccess(await first.client.createPermission(peer.at));
      second.client.sendTo(peer.at, "by the other's permission");
      await second.client.mark();
      first.client.sendTo(peer.at, "by its own");
      await peer.expect("by its own", first.relayed);
      return "only the permitted allocation relays";
    },
  },
  {
    section: "9",
    level: "MUST",
    says: "A permission is refreshed by CreatePermission, and by ChannelBind",
    check: async (bench) => {
      const [{ client, relayed }, peer] = [await bench.allocation(), await bench.peer()];
      expectSuccess(await client.createPermission(peer.at));
      expectSuccess(await client.bindChannel(0x4002, { ...peer.at, port: peer.at.port ^ 1 }));
      expectSuccess(await client.createPermission(peer.at));
      peer.send(relayed, "all the same");
      await expectData(client, "all the same", peer.at);
      return "three requests, one permission";
    },
  },
];

const shortAddress = wire.attributeOf(wire.attribute.xorPeerAddress, Buffer.of(0, 1, 0, 9, 127));
const unknownFamily = wire.attributeOf(wire.attribute.xorPeerAddress, Buffer.of(0, 7, 0, 9, 1, 2, 3, 4));

export const createPermission: readonly Requirement[] = [
  {
    section: "10.2",
    level: "MUST",
    says: "CreatePermission without XOR-PEER-ADDRESS is answered with 400",
    check: async (bench) => expectError(await (await bench.allocation()).client.createPermission(), 400),
  },
  {
    section: "10.2",
    level: "MUST",
    says: "CreatePermission with an XOR-PEER-ADDRESS of the wrong length is answered with 400",
    check: async (bench) => {
      const { client } = await bench.allocation();
      return expectError(await client.ask(wire.method.createPermission, [shortAddress]), 400);
    },
  },
  {
    section: "10.2",
    level: "MUST",
    says: "CreatePermission with an XOR-PEER-ADDRESS of an unknown family is answered with 400 or 443",
    check: async (bench) => {
      const { client } = await bench.allocation();
      return expectError(await client.ask(wire.method.createPermission, [unknownFamily]), 400, 443);
    },
  },
  {
    section: "10.2",
    level: "MUST",
    says: "If one of several XOR-PEER-ADDRESS is invalid, the request is answered with 400",
    check: async (bench) => {
      const [{ client }, peer] = [await bench.allocation(), await bench.peer()];
      const attributes = [wire.xorPeerAddress(peer.at), shortAddress];
      return expectError(await client.ask(wire.method.createPermission, attributes), 400);
    },
  },
  {
    section: "10.2",
    level: "MUST",
    says: "A refused CreatePermission installs no permission for its good addresses either",
    check: async (bench) => {
      const [{ client }, peer] = [await bench.allocation(), await bench.peer()];
      const attributes = [wire.xorPeerAddress(peer.at), wire.xorPeerAddress(someIpv6Peer)];
      expectError(await client.ask(wire.method.createPermission, attributes), 400, 443);
      client.sendTo(peer.at, "refused");
      await client.mark();
      expectSuccess(await client.createPermission(peer.at));
      client.sendTo(peer.at, "granted");
      await peer.expect("granted");
      return "nothing relayed before a good request";
    },
  },
  {
    section: "10.2",
    level: "MUST",
    says: "One request installs a permission for each of several XOR-PEER-ADDRESS",
    check: async (bench) => {
      const { client, relayed } = await bench.allocation();
      const peers = [await bench.peer(), await bench.peer({ nth: 1 })];
      expectSuccess(await client.createPermission(...peers.map(({ at }) => at)));
      for (const peer of peers) {
        peer.send(relayed, `I am ${peer.at.address}`);
        await expectData(client, `I am ${peer.at.address}`, peer.at);
      }
      return "both addresses may send";
    },
  },
  {
    section: "10.2",
    level: "MUST",
    says: "The port of XOR-PEER-ADDRESS is ignored and may be zero",
    check: async (bench) => {
      const [{ client, relayed }, peer] = [await bench.allocation(), await bench.peer()];
      expectSuccess(await client.createPermission({ ...peer.at, port: 0 }));
      peer.send(relayed, "port zero");
      await expectData(client, "port zero", peer.at);
      return "permitted";
    },
  },
  {
    section: "10.2",
    level: "MUST",
    says: "An IPv6 peer of an IPv4 allocation is answered with 443",
    check: async (bench) => expectError(await (await bench.allocation()).client.createPermission(someIpv6Peer), 443),
  },
  {
    section: "10.2",
    level: "MUST",
    says: "An IPv4 peer of an IPv6 allocation is answered with 443",
    check: async (bench) => {
      const [{ client }, peer] = [await bench.allocation6(), await bench.peer()];
      return expectError(await client.createPermission(peer.at), 443);
    },
  },
];
