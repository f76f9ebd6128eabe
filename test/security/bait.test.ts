// D7: requests that want nothing but an answer, while a call goes on. Of the native plane alone: on the portable one they
// share a socket and a thread with media, which has half of the thread's time; what the socket cannot hold is lost.

import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { setImmediate } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { Bench } from "../conformance/bench.ts";
import * as wire from "../conformance/wire.ts";
import { obstacleToNative } from "../dataplane/native-obstacle.ts";
import { startRelayProcess } from "./relay-process.ts";
import { alice } from "./victim.ts";

const channel = 0x4000;
const words = 200;
const baiters = 50;
const baitsAtOnce = 100;
const bait = wire.message(wire.method.allocate, [wire.requestedTransport()]);

async function openBaiter(address: string): Promise<Socket> {
  const socket = createSocket("udp4").bind(0, address);
  await once(socket, "listening");
  onTestFinished(() => void socket.close());
  return socket;
}

describe.runIf(obstacleToNative() === undefined)("D7", () => {
  test("a call loses nothing while a flood asks for challenges as fast as it can", { timeout: 60_000 }, async () => {
    const { port } = await startRelayProcess("native");
    const server = { address: "127.0.0.1", port };
    const bench = new Bench({ servers: [server], credentials: [alice], peerAddresses: ["127.0.0.2"] });
    onTestFinished(() => bench.close());
    const [{ client, relayed }, peer] = [await bench.allocation(), await bench.peer()];
    expect(wire.errorCodeOf(await client.bindChannel(channel, peer.at))).toBe(0);

    const flood = await Promise.all(Array.from({ length: baiters }, (_, i) => openBaiter(`127.0.${20 + i}.1`)));
    let isOver = false;
    let baits = 0;
    const flooding = (async () => {
      while (!isOver) {
        for (let i = 0; i < baitsAtOnce; i += 1) flood[i % baiters]?.send(bait, port, server.address);
        baits += baitsAtOnce;
        await setImmediate();
      }
    })();
    onTestFinished(async () => {
      isOver = true;
      await flooding;
    });

    for (let word = 0; word < words; word += 1) {
      client.sendOn(channel, `${word}`);
      await peer.expect(`${word}`);
      peer.send(relayed, `${word}`);
      const echo = await client.next("the echo", ({ channelData }) => channelData !== undefined);
      expect(echo.channelData?.payload.toString()).toBe(`${word}`);
    }
    expect(baits).toBeGreaterThan(10 * words);
  });
});
