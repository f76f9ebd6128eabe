// What tests of a plane stand on: a plane with an owned clock, and clients and peers on real loopback sockets.

import { randomInt } from "node:crypto";
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { connect, type Socket as TcpSocket } from "node:net";
import { setImmediate } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import { expect, onTestFinished } from "vitest";
import {
  type Dataplane,
  type DropReason,
  type Endpoint,
  type Fact,
  type Family,
  type Framing,
  familyOf,
  type Input,
  type Leg,
  type Listener,
  type Millis,
  type SocketId,
  type TrafficLimit,
  type Transport,
} from "../../src/contract.ts";
import type { StreamingPlaneOptions } from "../../src/dataplane/stream.ts";
import { Deframer } from "../../src/stun/stream.ts";

/** `clock` has what `now` says, in microseconds, for a plane whose threads cannot ask. */
export type Make = (options: StreamingPlaneOptions, clock: BigInt64Array<ArrayBuffer>) => Dataplane;

export const loopback: Readonly<Record<Family, string>> = { 4: "127.0.0.1", 6: "::1" };

/** What arrived and was not asked for yet, in order. */
export class Inbox<Item> {
  readonly #items: Item[] = [];
  readonly #takers: ((item: Item) => void)[] = [];

  put(item: Item): void {
    const taker = this.#takers.shift();
    if (taker) taker(item);
    else this.#items.push(item);
  }

  next(): Promise<Item> {
    const item = this.#items.shift();
    return item === undefined ? new Promise((resolve) => this.#takers.push(resolve)) : Promise.resolve(item);
  }

  async take(count: number): Promise<Item[]> {
    const items: Item[] = [];
    while (items.length < count) items.push(await this.next());
    return items;
  }

  get isEmpty(): boolean {
    return this.#items.length === 0;
  }
}

/** A UDP socket of a client or a peer. */
export class UdpEnd {
  readonly at: Endpoint;
  readonly #socket: UdpSocket;
  readonly #inbox = new Inbox<{ readonly bytes: Buffer; readonly from: Endpoint }>();

  constructor(socket: UdpSocket) {
    const { address, port } = socket.address();
    this.at = { address, port };
    this.#socket = socket;
    socket.on("message", (bytes, from) => this.#inbox.put({ bytes, from: { address: from.address, port: from.port } }));
  }

  send(bytes: string | Uint8Array, to: Endpoint): void {
    this.#socket.send(bytes, to.port, to.address);
  }

  /** The payload of the next packet. */
  async next(): Promise<Buffer> {
    return (await this.#inbox.next()).bytes;
  }

  async nextFrom(): Promise<{ readonly bytes: Buffer; readonly from: Endpoint }> {
    return this.#inbox.next();
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => this.#socket.close(resolve));
  }
}

export async function udpEnd(address: string, port = 0): Promise<UdpEnd> {
  const socket = createSocket({ type: familyOf(address) === 6 ? "udp6" : "udp4", ipv6Only: familyOf(address) === 6 });
  socket.bind(port, address);
  await once(socket, "listening");
  return new UdpEnd(socket);
}

/** A client on a stream: what it is told within TLS, if that is what it is on. */
export class TcpEnd {
  readonly at: Endpoint;
  readonly socket: TcpSocket;
  readonly closed: Promise<unknown>;
  /** Bytes as they came, padding and all. */
  readonly chunks: Buffer[] = [];
  readonly #frames = new Inbox<Uint8Array>();

  constructor(socket: TcpSocket) {
    this.socket = socket;
    this.at = { address: socket.localAddress ?? "", port: socket.localPort ?? 0 };
    this.closed = new Promise((resolve) => socket.once("close", resolve));
    const deframer = new Deframer();
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      this.chunks.push(chunk);
      for (const frame of deframer.push(chunk)) this.#frames.put(frame);
    });
  }

  send(bytes: Uint8Array): void {
    this.socket.write(bytes);
  }

  next(): Promise<Uint8Array> {
    return this.#frames.next();
  }

  async close(): Promise<void> {
    this.socket.destroy();
    await this.closed;
  }
}

/** A client's connection: what is said on it, and what carries that. Two things where the listener is for TLS. */
export interface Connected {
  readonly socket: TcpSocket;
  readonly carrier: TcpSocket;
}

export async function connectTo(
  { at, transport }: Pick<Listener, "at" | "transport">,
  options: { readonly localAddress?: string; readonly allowHalfOpen?: boolean } = {},
): Promise<Connected> {
  const carrier = connect({ host: at.address, port: at.port, noDelay: true, ...options });
  await once(carrier, "connect");
  if (transport !== "tls") return { socket: carrier, carrier };
  const socket = connectTls({ socket: carrier, rejectUnauthorized: false });
  await once(socket, "secureConnect");
  return { socket, carrier };
}

export async function tcpEnd(listener: Pick<Listener, "at" | "transport">): Promise<TcpEnd> {
  return new TcpEnd((await connectTo(listener)).socket);
}

/** One plane and everything that talks to it. */
export class Rig {
  readonly plane: Dataplane;
  readonly facts: Fact[] = [];
  /** What was handed up, without the ticks. */
  readonly handed = new Inbox<Input>();
  /** What `mayReach` was asked, and what it answers. */
  readonly asked: Endpoint[] = [];
  mayReach: (peer: Endpoint) => boolean = () => true;
  readonly #clock = new BigInt64Array(1);
  readonly #ends: { close(): Promise<void> }[] = [];
  #lastId = 0;

  constructor(make: Make, options: Partial<StreamingPlaneOptions> = {}) {
    this.now = 1_000_000;
    const planeOptions: StreamingPlaneOptions = {
      relayAddresses: [{ bind: loopback[4] }, { bind: loopback[6] }],
      relayPorts: [40_000, 60_000],
      mayReach: (peer) => {
        this.asked.push(peer);
        return this.mayReach(peer);
      },
      now: () => this.now,
      newSocketId: () => this.newSocketId(),
      randomBelow: (below) => randomInt(below),
      hand: (input) => this.handed.put(input),
      report: (fact) => this.facts.push(fact),
      ...options,
    };
    this.plane = make(planeOptions, this.#clock);
  }

  get now(): Millis {
    return Number(Atomics.load(this.#clock, 0)) / 1000;
  }

  set now(now: Millis) {
    Atomics.store(this.#clock, 0, BigInt(now * 1000));
  }

  newSocketId(): SocketId {
    this.#lastId += 1;
    return this.#lastId;
  }

  listen(transport: Transport, family: Family = 4): Promise<Listener> {
    return this.plane.listen(transport, { address: loopback[family], port: 0 });
  }

  async udp(address: string = loopback[4]): Promise<UdpEnd> {
    return this.keep(await udpEnd(address));
  }

  async tcp(listener: Listener): Promise<TcpEnd> {
    return this.keep(await tcpEnd(listener));
  }

  /** Asks for a relay port without waiting for it. */
  askForRelay(
    family: Family = 4,
    via: SocketId = 0,
    limits?: readonly TrafficLimit[],
    client: Endpoint = { address: loopback[family], port: 1 },
  ): SocketId {
    const relay = this.newSocketId();
    this.plane.perform({ do: "open-relay", relay, family, via, client, limits });
    return relay;
  }

  async openRelay(
    family: Family = 4,
    via: SocketId = 0,
    limits?: readonly TrafficLimit[],
    client?: Endpoint,
  ): Promise<{ readonly relay: SocketId; readonly at: Endpoint }> {
    const relay = this.askForRelay(family, via, limits, client);
    const input = await this.handed.next();
    if (input.is !== "relay-opened" || input.relay !== relay) throw new Error(`handed ${JSON.stringify(input)}`);
    return { relay, at: input.at };
  }

  leg(socket: SocketId, peer: Endpoint, framing: Framing = "bare", until: Millis = this.now + 60_000): Leg {
    return { socket, peer, framing, until };
  }

  route(client: Leg, peer: Leg): void {
    this.plane.perform({ do: "route", legs: [client, peer] });
  }

  unroute(client: Leg, peer: Leg): void {
    this.plane.perform({ do: "unroute", legs: [client, peer] });
  }

  /** What is handed up next, which has to be this. */
  async next<Is extends Input["is"]>(is: Is): Promise<Extract<Input, { is: Is }>> {
    const input = await this.handed.next();
    if (input.is !== is) throw new Error(`handed ${JSON.stringify(input)}`);
    return input as Extract<Input, { is: Is }>;
  }

  /** Counted so often, as soon as every thread of the plane has come to it, and not more often. */
  async expectDropped(reason: DropReason, count: number): Promise<void> {
    await until(() => this.plane.counters().dropped[reason] >= count);
    expect(this.plane.counters().dropped[reason], reason).toBe(count);
  }

  get relayedPackets(): number {
    return this.plane.counters().relayed.reduce((sum, { packets }) => sum + packets, 0);
  }

  keep<End extends { close(): Promise<void> }>(end: End): End {
    this.#ends.push(end);
    return end;
  }

  async close(): Promise<void> {
    await Promise.all(this.#ends.map((end) => end.close()));
    await this.plane.close();
  }
}

/** The same on a port that a plane has closed, or is about to. */
export async function udpEndOnceFree({ address, port }: Endpoint): Promise<UdpEnd> {
  for (;;) {
    try {
      return await udpEnd(address, port);
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EADDRINUSE")) throw error;
      await setImmediate();
    }
  }
}

/** Lets the event loop turn until it holds, and no longer than the test runs: a test that timed out must not spin on. */
export async function until(holds: () => boolean): Promise<void> {
  let isOver = false;
  onTestFinished(() => {
    isOver = true;
  });
  while (!holds()) {
    if (isOver) throw new Error("the test ended before it held");
    await setImmediate();
  }
}

/** However the connection ends. */
export function closeOf(socket: TcpSocket): Promise<unknown> {
  return new Promise((resolve) => socket.once("close", resolve));
}

export function anyPort({ address }: Endpoint): Endpoint {
  return { address, port: 0 };
}

/** A frame over UDP or TCP, without padding. */
export function channelData(channel: number, payload: string | Uint8Array): Buffer {
  const header = Buffer.alloc(4);
  header.writeUInt16BE(channel, 0);
  header.writeUInt16BE(Buffer.byteLength(payload), 2);
  return Buffer.concat([header, Buffer.from(payload)]);
}
