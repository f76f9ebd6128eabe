// C7, D3: memory of the relay under random and mutated packets, over UDP and TCP. For a long run: SOAK_PACKETS=5000000 npx vitest run test/security/soak.test.ts

import { randomBytes, randomInt } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { connect } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { Bench } from "../conformance/bench.ts";
import type { Client } from "../conformance/client.ts";
import * as wire from "../conformance/wire.ts";
import { obstacleToNative } from "../dataplane/native-obstacle.ts";
import { startRelayProcess } from "./relay-process.ts";
import { alice, bob } from "./victim.ts";

const packets = Number(process.env.SOAK_PACKETS ?? 100_000);
const planes = obstacleToNative() ? (["portable"] as const) : (["portable", "native"] as const);
/** Packets between two looks at whether the relay keeps up. */
const burst = 500;
const looks = 10;
/** In the second half. The heap of V8 breathes by less. */
const mostGrowthMegabytes = 15;
const strangers = 40;

describe.each(planes)("C7, D3: on the plane %s", (dataplane) => {
  test("memory stays flat under random and mutated packets", { timeout: 100_000 + packets }, async () => {
    const { port, residentMegabytes } = await startRelayProcess(dataplane);
    const bench = new Bench({
      servers: [{ address: "127.0.0.1", port }],
      credentials: [alice, bob],
      peerAddresses: ["127.0.0.2"],
    });
    onTestFinished(() => bench.close());
    const { client } = await bench.allocation();
    const samples = await samplesOf(client);
    const sockets = await Promise.all(Array.from({ length: strangers }, (_, i) => openStranger(`127.0.${i + 10}.1`)));
    const resident: number[] = [];
    for (let look = 0; look <= looks; look += 1) {
      for (let sent = 0; sent < packets / looks; sent += burst) {
        for (let i = 0; i < burst; i += 1) sockets[i % strangers]?.send(mangled(pick(samples)), port, "127.0.0.1");
        await tell(port, Buffer.concat(Array.from({ length: 10 }, () => mangled(pick(samples)))));
        await comeAndGo(port);
        await client.mark();
      }
      resident.push(residentMegabytes());
    }
    console.log(`MB on the plane ${dataplane}: ${resident.map((megabytes) => megabytes.toFixed()).join(" ")}`);
    const [settled = 0, last = 0] = [resident[Math.floor(looks / 2)], resident[looks]];
    expect(last - settled).toBeLessThan(mostGrowthMegabytes);
  });
});

/** What others do meanwhile: an allocation with a channel that is used, and given back. */
async function comeAndGo(port: number): Promise<void> {
  const bench = new Bench({ servers: [{ address: "127.0.0.1", port }], credentials: [bob], peerAddresses: [] });
  const { client } = await bench.allocation();
  await client.bindChannel(0x4000, { address: "127.0.0.2", port: 9 });
  client.sendOn(0x4000, "hello");
  await bench.close();
}

function pick<Item>(items: readonly Item[]): Item {
  return items[randomInt(items.length)] as Item;
}

/** Requests and indications that would do something, and channel data. */
async function samplesOf(client: Client): Promise<Buffer[]> {
  const peer = { address: "127.0.0.2", port: 4000 };
  return [
    wire.message(wire.method.binding),
    wire.message(wire.method.allocate, [wire.requestedTransport()]),
    await client.signed(wire.method.allocate, [wire.requestedTransport()]),
    await client.signed(wire.method.refresh, [wire.lifetime(600)]),
    await client.signed(wire.method.createPermission, [wire.xorPeerAddress(peer)]),
    await client.signed(wire.method.channelBind, [wire.channelNumber(0x4001), wire.xorPeerAddress(peer)]),
    wire.message(wire.method.send | wire.messageClass.indication, [wire.xorPeerAddress(peer), wire.data("hello")]),
    wire.channelData(0x4001, "hello"),
    randomBytes(64),
  ];
}

/** The same, with some of it changed, cut off or put to it. */
function mangled(sample: Buffer): Buffer {
  const bytes = Buffer.from(sample);
  for (let changes = randomInt(4); changes > 0; changes -= 1) bytes[randomInt(bytes.length)] = randomInt(256);
  const kind = randomInt(6);
  if (kind === 0) return bytes.subarray(0, randomInt(bytes.length));
  if (kind === 1) return Buffer.concat([bytes, randomBytes(randomInt(1, 1200))]);
  return bytes;
}

async function openStranger(address: string): Promise<Socket> {
  const socket = createSocket("udp4").bind(0, address);
  await once(socket, "listening");
  socket.on("error", () => {});
  onTestFinished(() => void socket.close());
  return socket;
}

/** Says all of it on a connection of its own. */
async function tell(port: number, stream: Buffer): Promise<void> {
  const socket = connect({ host: "127.0.0.1", port, localAddress: `127.1.0.${randomInt(1, 255)}` });
  socket.on("error", () => {}).resume();
  const closed = once(socket, "close");
  socket.end(stream);
  await closed;
}
