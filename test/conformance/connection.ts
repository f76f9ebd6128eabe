// A client's socket to the server: whole STUN and ChannelData frames out of a UDP socket or a TCP stream.

import { strict as assert } from "node:assert";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { connect, type Socket as TcpSocket } from "node:net";
import { connect as connectSecurely } from "node:tls";
import { Inbox } from "./inbox.ts";
import { TcpStream } from "./tcp-stream.ts";
import { type ChannelData, type Endpoint, headerBytes, normalAddress, padded, type Reading, read } from "./wire.ts";

export type Transport = "udp" | "tcp";

/** What arrived: a message, channel data, or bytes that are neither. `from` is the sender's address. */
export interface Frame {
  readonly bytes: Buffer;
  readonly from: Endpoint;
  readonly message?: Reading;
  readonly channelData?: ChannelData;
}

/** To a server, from a port that is not among the `usedPorts`. */
export type Connect = (server: Endpoint, usedPorts: Set<number>) => Promise<Connection>;

export interface Connection {
  readonly transport: Transport;
  readonly server: Endpoint;
  /** This end, as the server sees it when no NAT stands between. */
  readonly local: Endpoint;
  readonly inbox: Inbox<Frame>;
  send(bytes: Uint8Array): void;
  /** Settles when the server has ended a stream; never on UDP. */
  readonly ended: Promise<void>;
  /** From now on the bytes of a stream are in no frames. Not on UDP. */
  takeOver(): TcpStream;
  close(): Promise<void>;
}

export function frameOf(bytes: Buffer, from: Endpoint): Frame {
  if (bytes.length >= 4 && (bytes.readUInt8(0) & 0xc0) === 0x40) {
    const [channel, length] = [bytes.readUInt16BE(0), bytes.readUInt16BE(2)];
    if (bytes.length >= 4 + length)
      return { bytes, from, channelData: { channel, payload: bytes.subarray(4, 4 + length) } };
  }
  const message = read(bytes);
  return message ? { bytes, from, message } : { bytes, from };
}

/**
 * A socket on a port that is not among the `usedPorts`, to which it is added: a server may hold what an earlier client
 * on the same port has left behind.
 */
export async function connectUdp(server: Endpoint, usedPorts: Set<number>): Promise<Connection> {
  const socket = await bindUnusedPort(await localAddressTowards(server), usedPorts);
  const inbox = new Inbox<Frame>();
  socket.on("message", (bytes, { address, port }) => {
    inbox.put(frameOf(bytes, { address: normalAddress(address), port }));
  });
  // An ICMP error of a closed port is no reply, and the reader's deadline tells of that.
  socket.on("error", () => {});
  const { address, port } = socket.address();
  return {
    transport: "udp",
    server,
    local: { address: normalAddress(address), port },
    inbox,
    send: (bytes) => socket.send(bytes, server.port, server.address),
    ended: new Promise(() => {}),
    takeOver: () => assert.fail("UDP is no stream"),
    close: () => closed(socket),
  };
}

async function bindUnusedPort(address: string, usedPorts: Set<number>): Promise<Socket> {
  for (;;) {
    const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
    socket.bind(0, address);
    await once(socket, "listening");
    const { port } = socket.address();
    if (!usedPorts.has(port)) {
      usedPorts.add(port);
      return socket;
    }
    await closed(socket);
  }
}

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.close(() => resolve()));
}

/** The address this machine uses towards `server`; a connected UDP socket knows it and sends nothing. */
export async function localAddressTowards(server: Endpoint): Promise<string> {
  const socket = createSocket(server.address.includes(":") ? "udp6" : "udp4");
  socket.connect(server.port, server.address);
  await once(socket, "connect");
  const { address } = socket.address();
  socket.close();
  return address;
}

/** Rejects when the server does not accept. */
export async function connectTcp(server: Endpoint): Promise<Connection> {
  const socket = connect({ host: server.address, port: server.port, noDelay: true });
  await once(socket, "connect");
  return streamConnection(socket, server);
}

/** The same within TLS, whatever certificate the server shows. */
export async function connectTls(server: Endpoint): Promise<Connection> {
  const socket = connectSecurely({ host: server.address, port: server.port, rejectUnauthorized: false });
  await once(socket, "secureConnect");
  return streamConnection(socket.setNoDelay(true), server);
}

function streamConnection(socket: TcpSocket, server: Endpoint): Connection {
  const inbox = new Inbox<Frame>();
  let unread: Buffer = Buffer.alloc(0);
  const deframe = (chunk: Buffer) => {
    unread = Buffer.concat([unread, chunk]);
    for (let end = frameEnd(unread); end <= unread.length; end = frameEnd(unread)) {
      inbox.put(frameOf(unread.subarray(0, end), server));
      unread = unread.subarray(end);
    }
  };
  socket.on("data", deframe);
  socket.on("error", () => {});
  const ended = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  return {
    transport: "tcp",
    server,
    local: { address: normalAddress(socket.localAddress ?? ""), port: socket.localPort ?? 0 },
    inbox,
    send: (bytes) => socket.write(bytes),
    ended,
    takeOver: () => {
      socket.off("data", deframe);
      return new TcpStream(socket, unread);
    },
    close: () => {
      socket.destroy();
      return ended;
    },
  };
}

/** Where the first frame of a stream ends; beyond every buffer while that cannot be known. */
function frameEnd(stream: Buffer): number {
  if (stream.length < 4) return Number.POSITIVE_INFINITY;
  const length = stream.readUInt16BE(2);
  return (stream.readUInt8(0) & 0xc0) === 0x40 ? 4 + padded(length) : headerBytes + length;
}
