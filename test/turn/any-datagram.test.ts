import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import type { Action, SocketId } from "../../src/contract.ts";
import { writeChannelData } from "../../src/stun/channel-data.ts";
import { decode, encode } from "../../src/stun/message.ts";
import { Method } from "../../src/stun/methods.ts";
import { Client, otherPeer, peer, sixthPeer, users, World } from "./world.ts";

const seed = 20_261_122;
const datagrams = 400_000;
const limits = { allocations: 12, allocationsPerUser: 8, permissionsPerAllocation: 4, channelsPerAllocation: 4 };

/** A small generator of the xorshift family: the same numbers in every run. */
function numbers(start: number) {
  let state = start;
  return (below: number) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

const random = numbers(seed);

function pick<Thing>(things: readonly Thing[]): Thing {
  const thing = things[random(things.length)];
  if (thing === undefined) throw new Error("nothing to pick from");
  return thing;
}

function randomBytes(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++) bytes[i] = random(256);
  return bytes;
}

/** Messages as this client could send them: every method and class, with credentials and without. */
function corpusOf(client: Client): Uint8Array[] {
  const peers = [peer, otherPeer, sixthPeer, { address: "127.0.0.1", port: 1 }];
  const contents = [
    {},
    { requestedTransport: 17 },
    { requestedTransport: 17, requestedAddressFamily: 6, lifetime: 1000 },
    { requestedTransport: 17, additionalAddressFamily: 6 },
    { lifetime: 0 },
    { xorPeerAddress: peers.slice(0, 2) },
    { xorPeerAddress: peers },
    { channelNumber: 0x4000, xorPeerAddress: [peer] },
    { channelNumber: 0x4001, xorPeerAddress: [{ address: "127.0.0.1", port: 1 }] },
    { xorPeerAddress: [peer], data: new Uint8Array(5) },
  ] as const;
  const methods = Object.keys(Method) as (keyof typeof Method)[];
  const requests = methods.flatMap((method) => contents.map((attributes) => client.request(method, attributes)));
  return [
    ...requests.map((request) => client.sign(request)),
    ...requests.map((request) => encode(request, { fingerprint: true })),
    ...requests.map((request) => encode({ ...request, class: "indication" })),
    ...requests.map((request) => client.sign({ ...request, class: pick(["success", "error"]) })),
    writeChannelData(0x4000, new Uint8Array(20)),
  ];
}

function mutated(bytes: Uint8Array): Buffer {
  const copy = Buffer.from(bytes);
  for (let changes = 1 + random(4); changes > 0; changes--) copy[random(copy.length)] = random(256);
  return copy;
}

/** Changes attributes and nothing else, so that the message is read to its end. */
function mutatedBody(bytes: Uint8Array): Buffer {
  const copy = Buffer.from(bytes);
  if (copy.length > 20) copy[20 + random(copy.length - 20)] = random(256);
  return copy;
}

function anyDatagram(client: Client, corpus: readonly Uint8Array[]): Uint8Array {
  const model = pick(corpus);
  switch (random(10)) {
    case 0:
      return randomBytes(random(64));
    case 1:
      return Buffer.concat([Buffer.from([0, random(10), 0, 8, 0x21, 0x12, 0xa4, 0x42]), randomBytes(20)]);
    case 2:
      return model.subarray(0, random(model.length));
    case 3:
      return Buffer.concat([model, pick(corpus)]);
    case 4:
    case 5:
      return model;
    case 6:
    case 7:
      return model.length > 44 ? client.seal(mutatedBody(model)) : model;
    default:
      return random(2) === 0 ? mutated(model) : mutatedBody(model);
  }
}

function isRequest(bytes: Uint8Array): boolean {
  return ((bytes[0] ?? 0xff) & 0xc1) === 0 && ((bytes[1] ?? 0xff) & 0x10) === 0;
}

function hasZeroPadding(message: Buffer): boolean {
  for (let at = 20; at < message.length; ) {
    const end = at + 4 + message.readUInt16BE(at + 2);
    const next = (end + 3) & ~3;
    for (let i = end; i < next; i++) if (message[i] !== 0) return false;
    at = next;
  }
  return true;
}

/** Opens most relay ports that are asked for, and watches every answer. */
class Watch {
  readonly world: World;
  readonly faults: string[] = [];
  readonly codes = new Set<number>();
  readonly relays = new Set<SocketId>();
  answers = 0;

  constructor(world: World) {
    this.world = world;
  }

  hears(client: Client, bytes: Uint8Array): void {
    const actions = this.world.server.handle(this.world.now, { is: "datagram", ...client.tuple, bytes });
    const replies = this.perform(actions).filter((action) => action.via === client.tuple.via);
    if (replies.length > 1) this.faults.push(`${replies.length} answers to ${Buffer.from(bytes).toString("hex")}`);
    for (const reply of replies) this.judge(client, bytes, reply);
  }

  ticks(): void {
    this.world.now += 1000;
    this.perform(this.world.server.handle(this.world.now, { is: "ticked" }));
  }

  /** Returns what is sent, at last. */
  perform(actions: readonly Action[]): Extract<Action, { do: "send" }>[] {
    return actions.flatMap((action) => {
      if (action.do === "close-relay") this.relays.delete(action.relay);
      if (action.do === "send") return [action];
      return action.do === "open-relay" ? this.perform(this.opens(action.relay, action.family)) : [];
    });
  }

  opens(relay: SocketId, family: 4 | 6): Action[] {
    const { server, now } = this.world;
    if (random(8) === 0)
      return server.handle(now, { is: "relay-failed", relay, why: pick(["exhausted", "no-such-family"]) });
    this.relays.add(relay);
    const at = { address: family === 4 ? "192.0.2.1" : "2001:db8::1", port: 49_152 + (relay % 16_384) };
    return server.handle(now, { is: "relay-opened", relay, at });
  }

  judge(client: Client, bytes: Uint8Array, reply: Extract<Action, { do: "send" }>): void {
    this.answers += 1;
    const message = Buffer.from(reply.bytes);
    const answer = decode(message);
    this.codes.add(answer?.attributes.errorCode?.code ?? 0);
    const isFine =
      isRequest(bytes) &&
      reply.to === client.tuple.from &&
      (answer?.class === "success" || answer?.class === "error") &&
      message.subarray(4, 20).equals(Buffer.from(bytes.subarray(4, 20))) &&
      hasZeroPadding(message);
    if (!isFine) this.faults.push(`${message.toString("hex")} in answer to ${Buffer.from(bytes).toString("hex")}`);
  }
}

setFlagsFromString("--expose-gc");
const collectGarbage: () => void = runInNewContext("gc");

function heapBytes(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

/** New nonces and messages, then that many datagrams made of them. */
function pour(watch: Watch, clients: readonly Client[], count: number): void {
  for (const client of clients) client.fetchNonce();
  const corpora = clients.map((client) => ({ client, corpus: corpusOf(client) }));
  for (let i = 0; i < count; i++) {
    if (i % 500 === 0) watch.ticks();
    const { client, corpus } = pick(corpora);
    watch.hears(client, anyDatagram(client, corpus));
    // A dual allocation has two.
    if (watch.relays.size > 2 * limits.allocations) watch.faults.push(`${watch.relays.size} relay ports`);
  }
}

describe("any datagram whatever", () => {
  const title = "throws nothing, answers nothing but requests, and leaves state and memory within bounds";
  test(title, { timeout: 120_000 }, () => {
    const world = new World({ limits });
    const watch = new Watch(world);
    const alices = Array.from({ length: 16 }, (_, i) =>
      world.client(`198.51.100.${i}`, { transport: i % 4 === 0 ? "tcp" : "udp" }),
    );
    const bobs = alices.map(({ tuple }) => new Client(world, tuple, "bob", users.get("bob") ?? ""));
    const rounds = Array.from({ length: 5 }, () => {
      pour(watch, [...alices, ...bobs], datagrams / 5);
      return heapBytes();
    });

    expect(watch.faults.slice(0, 3), `with seed ${seed}`).toEqual([]);
    expect((rounds.at(-1) ?? 0) - (rounds[0] ?? 0), "growth of the heap").toBeLessThan(1_000_000);
    expect(watch.answers).toBeGreaterThan(datagrams / 10);
    const everyCode = [0, 400, 401, 403, 420, 437, 438, 440, 441, 442, 443, 486, 508];
    expect([...watch.codes].sort()).toEqual(everyCode);
  });
});
