// RFC 6062: TCP allocations. A control connection, and a data connection for each peer connection.

import { randomBytes } from "node:crypto";
import { type Allocation, type Bench, supportedOr } from "./bench.ts";
import { type Client, describe, expectError, expectSuccess } from "./client.ts";
import { must, type Requirement } from "./requirement.ts";
import type { TcpPeer } from "./tcp-peer.ts";
import type { TcpStream } from "./tcp-stream.ts";
import * as wire from "./wire.ts";

const connect = 0x00a;
const connectionBind = 0x00b;
const connectionAttempt = 0x00c | wire.messageClass.indication;
const connectionIdType = 0x002a;
const tcp = 6;

/** A client on TCP with a relayed TCP address. */
async function tcpAllocation(bench: Bench): Promise<Allocation> {
  const client = await bench.client({ transport: "tcp" });
  const reply = await client.ask(wire.method.allocate, [wire.requestedTransport(tcp)]);
  supportedOr(reply, "a TCP allocation");
  expectSuccess(reply);
  const [relayed] = wire.xorAddresses(reply, wire.attribute.xorRelayedAddress);
  must(relayed, "the success response has no XOR-RELAYED-ADDRESS");
  return { client, reply, relayed };
}

function connectionIdOf(message: wire.Reading): Buffer {
  const value = wire.find(message, connectionIdType)?.value;
  must(value?.length === 4, "no CONNECTION-ID of four bytes");
  return value;
}

function connectTo(client: Client, peer: wire.Endpoint): Promise<wire.Reading> {
  return client.ask(connect, [wire.xorPeerAddress(peer)]);
}

/** A client on a connection of its own whose first request can be a ConnectionBind for that allocation's. */
async function dataClient(bench: Bench, control: Client, credential = control.credential): Promise<Client> {
  const client = await bench.client({ transport: "tcp", credential });
  client.startFrom(await control.challenge());
  return client;
}

function bind(client: Client, id: Uint8Array): Promise<wire.Reading> {
  return client.ask(connectionBind, [wire.attributeOf(connectionIdType, id)]);
}

/** A data connection: its bytes from the ConnectionBind on. */
async function dataConnection(bench: Bench, control: Client, id: Uint8Array): Promise<TcpStream> {
  const client = await dataClient(bench, control);
  expectSuccess(await bind(client, id));
  return client.connection.takeOver();
}

interface Joined {
  readonly client: Client;
  readonly peer: TcpPeer;
  /** The peer's end and the client's end of the relayed connection. */
  readonly far: TcpStream;
  readonly near: TcpStream;
  readonly relayed: wire.Endpoint;
}

/** A peer connection that the client asked for, with its data connection. */
export async function connected(bench: Bench): Promise<Joined> {
  const [{ client, relayed }, peer] = [await tcpAllocation(bench), await bench.tcpPeer()];
  const reply = await connectTo(client, peer.at);
  expectSuccess(reply);
  const far = await peer.accepted();
  return { client, peer, far, relayed, near: await dataConnection(bench, client, connectionIdOf(reply)) };
}

export async function crossing(from: TcpStream, to: TcpStream, bytes: number): Promise<void> {
  const payload = randomBytes(bytes);
  from.write(payload);
  const got = await to.take(bytes);
  must(got.equals(payload), `${got.length} of ${bytes} bytes arrived, or others`);
}

/** An Allocate for TCP that must be refused with 400, on a server that has TCP allocations. */
function refusedAllocate(says: string, extra: wire.Attribute): Requirement {
  return {
    section: "5.1",
    level: "MUST",
    says,
    check: async (bench) => {
      await tcpAllocation(bench);
      const client = await bench.client({ transport: "tcp" });
      return expectError(await client.ask(wire.method.allocate, [wire.requestedTransport(tcp), extra]), 400);
    },
  };
}

export const allocations: readonly Requirement[] = [
  {
    section: "5.1",
    level: "MUST",
    says: "REQUESTED-TRANSPORT 6 over TCP gives a relayed TCP address, or 442",
    check: async (bench) => {
      const { relayed } = await tcpAllocation(bench);
      return `${relayed.address}:${relayed.port}`;
    },
  },
  {
    section: "5.1",
    level: "MUST",
    says: "REQUESTED-TRANSPORT 6 over UDP is answered with 400",
    check: async (bench) => {
      await tcpAllocation(bench);
      return expectError(await (await bench.client()).ask(wire.method.allocate, [wire.requestedTransport(tcp)]), 400);
    },
  },
  refusedAllocate("A TCP allocation with EVEN-PORT is answered with 400", wire.evenPort(false)),
  refusedAllocate("A TCP allocation with DONT-FRAGMENT is answered with 400", wire.attributeOf(0x001a)),
  refusedAllocate(
    "A TCP allocation with RESERVATION-TOKEN is answered with 400",
    wire.attributeOf(wire.attribute.reservationToken, Buffer.alloc(8)),
  ),
];

export const connects: readonly Requirement[] = [
  {
    section: "5.2",
    level: "MUST",
    says: "Connect opens a connection from the relayed address to the peer and answers with CONNECTION-ID",
    check: async (bench) => {
      const [{ client, relayed }, peer] = [await tcpAllocation(bench), await bench.tcpPeer()];
      connectionIdOf(await connectTo(client, peer.at));
      const { remote: from } = await peer.accepted();
      must(
        from.address === relayed.address && from.port === relayed.port,
        `it comes from ${from.address}:${from.port}`,
      );
      return `from ${from.address}:${from.port}`;
    },
  },
  {
    section: "5.2",
    level: "MUST",
    says: "Connect without an allocation is answered with 437",
    check: async (bench) => {
      await tcpAllocation(bench);
      const [client, peer] = [await bench.client({ transport: "tcp" }), await bench.tcpPeer()];
      return expectError(await connectTo(client, peer.at), 437);
    },
  },
  {
    section: "5.2",
    level: "MUST",
    says: "Connect without XOR-PEER-ADDRESS is answered with 400",
    check: async (bench) => expectError(await (await tcpAllocation(bench)).client.ask(connect), 400),
  },
  {
    section: "5.2",
    level: "MUST",
    says: "Connect to a peer that is connected already is answered with 446",
    check: async (bench) => {
      const { client, peer } = await connected(bench);
      return expectError(await connectTo(client, peer.at), 446);
    },
  },
  {
    section: "5.2",
    level: "MUST",
    says: "Connect to a peer that refuses is answered with 447",
    check: async (bench) => {
      const [{ client }, peer] = [await tcpAllocation(bench), await bench.tcpPeer()];
      await peer.close();
      return expectError(await connectTo(client, peer.at), 447);
    },
  },
  {
    section: "5.2",
    level: "MUST",
    says: "What a peer sends before ConnectionBind is kept for the client",
    check: async (bench) => {
      const [{ client }, peer] = [await tcpAllocation(bench), await bench.tcpPeer()];
      const reply = await connectTo(client, peer.at);
      expectSuccess(reply);
      const far = await peer.accepted();
      far.write(Buffer.from("early words"));
      await client.mark();
      const near = await dataConnection(bench, client, connectionIdOf(reply));
      const got = await near.take(11);
      must(got.toString() === "early words", `${got.length} of 11 bytes arrived`);
      return "11 bytes kept";
    },
  },
];

export const attempts: readonly Requirement[] = [
  {
    section: "5.3",
    level: "MUST",
    says: "A permitted peer's connection is told in a ConnectionAttempt with CONNECTION-ID and XOR-PEER-ADDRESS",
    check: async (bench) => {
      const [{ client, relayed }, peer] = [await tcpAllocation(bench), await bench.tcpPeer()];
      expectSuccess(await client.createPermission(peer.at));
      const far = await peer.connect(relayed);
      const { message } = await client.next("ConnectionAttempt", (frame) => frame.message?.type === connectionAttempt);
      must(message, "no message");
      const [from] = wire.xorAddresses(message, wire.attribute.xorPeerAddress);
      must(
        from?.address === far.local.address && from.port === far.local.port,
        `it names ${from?.address}:${from?.port}`,
      );
      const near = await dataConnection(bench, client, connectionIdOf(message));
      await crossing(far, near, 1000);
      await crossing(near, far, 1000);
      return "told, bound, and bytes both ways";
    },
  },
  {
    section: "5.3",
    level: "MUST",
    says: "A connection of a peer without permission is closed, and the client is not told",
    check: async (bench) => {
      const [{ client, relayed }, peer] = [await tcpAllocation(bench), await bench.tcpPeer()];
      await peer.connectInVain(relayed);
      await client.expectNothing();
      return "refused or closed";
    },
  },
];

export const binds: readonly Requirement[] = [
  {
    section: "5.4",
    level: "MUST",
    says: "ConnectionBind with a CONNECTION-ID that does not exist is answered with 400",
    check: async (bench) => {
      const { client } = await tcpAllocation(bench);
      return expectError(await bind(await dataClient(bench, client), Buffer.of(0xfe, 0xdc, 0xba, 0x98)), 400);
    },
  },
  {
    section: "5.4",
    level: "MUST",
    says: "ConnectionBind without CONNECTION-ID is answered with 400",
    check: async (bench) => {
      const { client } = await tcpAllocation(bench);
      return expectError(await (await dataClient(bench, client)).ask(connectionBind), 400);
    },
  },
  {
    section: "5.4",
    level: "MUST",
    says: "A CONNECTION-ID can be bound once",
    check: async (bench) => {
      const [{ client }, peer] = [await tcpAllocation(bench), await bench.tcpPeer()];
      const id = connectionIdOf(await connectTo(client, peer.at));
      await dataConnection(bench, client, id);
      return expectError(await bind(await dataClient(bench, client), id), 400);
    },
  },
  {
    section: "5.4",
    level: "MUST",
    says: "Another user cannot bind a CONNECTION-ID",
    check: async (bench) => {
      const credential = bench.otherCredential;
      const [{ client }, peer] = [await tcpAllocation(bench), await bench.tcpPeer()];
      const id = connectionIdOf(await connectTo(client, peer.at));
      const stranger = await dataClient(bench, client, credential);
      // Where a server says nothing, the wait for an answer is all there is to see it by.
      const reply = await bind(stranger, id).catch(() => undefined);
      must(!reply || wire.errorCodeOf(reply) !== 0, `it is answered with ${reply && describe(reply)}`);
      return reply ? describe(reply) : "no answer";
    },
  },
  {
    section: "5.5",
    level: "MUST",
    says: "After ConnectionBind every byte is relayed, both ways and in order",
    check: async (bench) => {
      const { near, far } = await connected(bench);
      await Promise.all([crossing(near, far, 1_000_000), crossing(far, near, 1_000_000)]);
      return "1,000,000 bytes each way";
    },
  },
  {
    section: "5.6",
    level: "MUST",
    says: "When the peer closes, the data connection is closed",
    check: async (bench) => {
      const { near, far } = await connected(bench);
      far.end();
      await near.closed();
      return "closed";
    },
  },
  {
    section: "5.6",
    level: "MUST",
    says: "When the client closes the data connection, the peer's is closed",
    check: async (bench) => {
      const { near, far } = await connected(bench);
      near.end();
      await far.closed();
      return "closed";
    },
  },
  {
    section: "5.6",
    level: "MUST",
    says: "When the allocation is deleted, its data connections are closed",
    check: async (bench) => {
      const { client, near, far } = await connected(bench);
      expectSuccess(await client.refresh(wire.lifetime(0)));
      await Promise.all([near.closed(), far.closed()]);
      return "closed on both sides";
    },
  },
];
