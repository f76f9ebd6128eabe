// C5: a stream of STUN messages and padded ChannelData is the same however the network cuts it (RFC 8656 section 12.5).

import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { setImmediate } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { Action } from "../../src/contract.ts";
import { Connection } from "../../src/dataplane/connection.ts";
import { streamLimits } from "../../src/dataplane/stream.ts";
import { readChannelData, writeChannelData } from "../../src/stun/channel-data.ts";
import { encode } from "../../src/stun/message.ts";
import { Method } from "../../src/stun/methods.ts";
import { pad } from "../../src/stun/stream.ts";
import type { Bench } from "../conformance/bench.ts";
import { hex, type Client as RealClient } from "../conformance/client.ts";
import type { Frame } from "../conformance/connection.ts";
import * as wire from "../conformance/wire.ts";
import { type Client, peer, World } from "../turn/world.ts";
import { openVictim } from "./victim.ts";

const rounds = 10_000;
const roundsWithMachine = 500;
/** Some at a time, so that waiting costs nothing. */
const roundsOverSockets = 250;
const roundsAtOnce = 10;
/** Of ChannelData over sockets. */
const payloads = [0, 1, 2, 3, 4, 255, 1200];
const mostCuts = 24;
/** Of the stream, down to the Refresh that ends the allocation. */
const framesUntilGoodbye = 17;
const channel = 0x4001;
/** RFC 6062. */
const connectionBind = 0x00b;

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * What a plane takes from a connection whose client has an allocation, and whether it hangs up. `receive` says whether
 * the allocation still stands.
 */
function take(client: Client, pieces: readonly Uint8Array[], receive: (frame: Buffer) => boolean): boolean {
  const wire = new Duplex({ read() {}, write: (_bytes, _encoding, done) => done() });
  const { on, via, from } = client.tuple;
  const { relays } = new Connection(wire as Socket, {
    id: via,
    listener: on,
    client: from,
    limits: streamLimits,
    now: () => client.world.now,
    isInUse: () => false,
    receive: (_connection, frame) => {
      if (!receive(Buffer.from(frame))) relays.clear();
    },
    lost: () => {},
  });
  relays.add(0);
  for (const piece of pieces) wire.emit("data", piece);
  return wire.destroyed;
}

/** A client with an allocation in a world of its own, which is like every other's. */
function openClient(): Client {
  const client = new World().client("198.51.100.7", { transport: "tcp" });
  client.allocates();
  return client;
}

/** Everything that the machine does about it. */
function consequences(pieces: readonly Uint8Array[]): string {
  const client = openClient();
  const { world, tuple } = client;
  const seen: unknown[] = [];
  const isHungUp = take(client, pieces, (bytes) => {
    if (readChannelData(bytes)) seen.push(bytes.toString("base64"));
    else seen.push(world.hears({ is: "datagram", ...tuple, bytes }).map(shown));
    return world.relays.size > 0;
  });
  return JSON.stringify({ seen, isHungUp });
}

function shown(action: Action): unknown {
  return action.do === "send" ? { ...action, bytes: Buffer.from(action.bytes).toString("base64") } : action;
}

/** What a client may say after its allocation stands, down to what was under way when it gave it back. */
function validStream(client: Client): Buffer {
  const send = (bytes: number) =>
    encode({
      class: "indication",
      method: Method.send,
      transactionId: client.transactionId(),
      attributes: { xorPeerAddress: [peer], data: Buffer.alloc(bytes, "s") },
    });
  const data = (bytes: number) => writeChannelData(channel, Buffer.alloc(bytes, 0x40));
  const frames = [
    client.sign(client.request("createPermission", { xorPeerAddress: [peer] })),
    ...[0, 1, 5].map(send),
    client.sign(client.request("channelBind", { channelNumber: channel, xorPeerAddress: [peer] })),
    ...[0, 1, 2, 3, 4, 255, 1200].map(data),
    encode(client.request("binding")),
    client.sign(client.request("refresh", { lifetime: 600 })),
    ...[7, 3000].map(data),
    client.sign(client.request("refresh", { lifetime: 0 })),
    data(9),
    encode(client.request("binding", { software: "still here" })),
  ];
  expect(frames).toHaveLength(framesUntilGoodbye + 2);
  return Buffer.concat(frames.map(pad));
}

function cut(stream: Buffer, random: () => number): Buffer[] {
  const places = Array.from({ length: Math.floor(random() * mostCuts) }, () => Math.floor(random() * stream.length));
  const sorted = [0, ...places.sort((a, b) => a - b), stream.length];
  return sorted.slice(1).map((place, i) => stream.subarray(sorted[i], place));
}

describe("C5: one valid stream", { timeout: 60_000 }, () => {
  test(`gives the same frames to the machine, cut at random ${rounds} times, and byte by byte`, () => {
    const client = openClient();
    const stream = validStream(client);
    const framesOf = (pieces: readonly Uint8Array[]) => {
      const frames: Buffer[] = [];
      const isHungUp = take(client, pieces, (frame) => frames.push(frame) < framesUntilGoodbye);
      return `${isHungUp} ${frames.map(({ length }) => length)} ${Buffer.concat(frames).toString("latin1")}`;
    };
    const whole = framesOf([stream]);
    expect(framesOf(bytewise(stream))).toBe(whole);
    for (let seed = 0; seed < rounds; seed += 1) {
      const frames = framesOf(cut(stream, randomOf(seed)));
      if (frames !== whole) expect(frames, `cut with seed ${seed}`).toBe(whole);
    }
  });

  test("has the same consequences, however it is cut", () => {
    const stream = validStream(openClient());
    const whole = consequences([stream]);
    expect(whole).toContain('"isHungUp":false');
    for (let seed = 0; seed < roundsWithMachine; seed += 1) {
      expect(consequences(cut(stream, randomOf(seed))), `cut with seed ${seed}`).toBe(whole);
    }
  });

  test.for(["portable", "auto"])("has the same consequences over real sockets on the plane %s", async (dataplane) => {
    const { bench } = await openVictim({ listen: ["tcp://127.0.0.1:0"], dataplane });
    const whole = await overSocket(bench, (stream) => [stream]);
    expect(whole).toEqual({ answers: ["0108", "0109", "0101", "011b", "0104", "0104", "0101"], arrived: payloads });
    expect(await overSocket(bench, bytewise)).toEqual(whole);
    for (let first = 0; first < roundsOverSockets; first += roundsAtOnce) {
      const seeds = Array.from({ length: roundsAtOnce }, (_, i) => first + i);
      const outcomes = await Promise.all(
        seeds.map((seed) => overSocket(bench, (stream) => cut(stream, randomOf(seed)))),
      );
      for (const [i, outcome] of outcomes.entries()) expect(outcome, `cut with seed ${seeds[i]}`).toEqual(whole);
    }
  });
});

/** What the client is answered in order, and how long what reached the peer is, the shortest first. */
async function overSocket(bench: Bench, pieces: (stream: Buffer) => readonly Uint8Array[]): Promise<unknown> {
  const [{ client }, peer] = [await bench.allocation({ transport: "tcp" }), await bench.peer()];
  for (const piece of pieces(await realStream(client, peer.at))) {
    client.send(piece);
    // So that the relay, in this process, reads it before there is more.
    await setImmediate();
  }
  const answers: string[] = [];
  while (answers.length < 7) answers.push(hex((await client.next("an answer", isMessage)).message?.type ?? 0));
  const arrived: number[] = [];
  while (arrived.length < payloads.length) arrived.push((await peer.next()).payload.length);
  client.hasAllocation = false;
  await Promise.all([client.close(), peer.close()]);
  return { answers, arrived: arrived.sort((a, b) => a - b) };
}

const isMessage = ({ message }: Frame) => message !== undefined;

async function realStream(client: RealClient, to: wire.Endpoint): Promise<Buffer> {
  const data = (bytes: number) => wire.paddedChannelData(channel, Buffer.alloc(bytes, 0x40));
  return Buffer.concat([
    await client.signed(wire.method.createPermission, [wire.xorPeerAddress(to)]),
    await client.signed(wire.method.channelBind, [wire.channelNumber(channel), wire.xorPeerAddress(to)]),
    ...payloads.map(data),
    wire.message(wire.method.binding),
    // Of a method that the relay does not have: what is behind it is read all the same.
    wire.message(connectionBind),
    await client.signed(wire.method.refresh, [wire.lifetime(600)]),
    await client.signed(wire.method.refresh, [wire.lifetime(0)]),
    data(9),
    wire.message(wire.method.binding, [wire.attributeOf(wire.attribute.software, "still here")]),
  ]);
}

function bytewise(stream: Buffer): Buffer[] {
  return [...stream].map((byte) => Buffer.of(byte));
}
