// Streams through relayed TCP addresses (RFC 6062), as a program beside the suite, so that it runs where the load does. It
// opens so many pairs as its argument says, then takes the direction and the seconds of a run from each line of its stdin
// and answers with a line. In JavaScript, since what counts is the server's CPU per byte, whatever the speed.

import { once } from "node:events";
import type { Socket } from "node:net";
import { createInterface } from "node:readline";
import { setImmediate } from "node:timers/promises";
import { Bench } from "../../test/conformance/bench.ts";
import { connected } from "../../test/conformance/rfc6062.ts";
import { cpuSecondsOf } from "../cpu.ts";
import { account } from "../servers/place.ts";
import type { Transfer, TransferOptions, TransferredPairs } from "./transfer.ts";

/** Written at once; every one is alike, and what arrives is held against it. */
const block = Buffer.from(Uint8Array.from({ length: 65_536 }, (_, i) => (i * 167 + 13) >> 3));

interface Pair {
  readonly near: Socket;
  readonly far: Socket;
}

const { server, peerAddress, pairs: wanted, pids } = JSON.parse(process.argv[2] ?? "") as TransferredPairs;
const bench = new Bench({ servers: [server], credentials: [account], peerAddresses: [peerAddress] });
const pairs: Pair[] = [];
for (let count = 0; count < wanted; count++) {
  const { near, far } = await connected(bench);
  pairs.push({ near: near.giveAway(), far: far.giveAway() });
}
console.log(JSON.stringify({ pairs: pairs.length }));
for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await run(JSON.parse(line))));
}
await bench.close();

async function run({ direction, seconds }: TransferOptions): Promise<Transfer> {
  const [cpuBefore, begunAt] = [spent(), performance.now()];
  const until = begunAt + seconds * 1000;
  const passed = await Promise.all(
    pairs.map(({ near, far }) => (direction === "to-peer" ? pass(near, far, until) : pass(far, near, until))),
  );
  const total = (key: "bytes" | "corrupt") => passed.reduce((sum, each) => sum + each[key], 0);
  const elapsed = (performance.now() - begunAt) / 1000;
  return { bytes: total("bytes"), corrupt: total("corrupt"), seconds: elapsed, cpuSeconds: spent() - cpuBefore };
}

function spent(): number {
  return pids.reduce((sum, pid) => sum + cpuSecondsOf(pid), 0);
}

/** Until then, and then until the last byte has arrived. */
async function pass(from: Socket, to: Socket, until: number): Promise<{ bytes: number; corrupt: number }> {
  let [bytes, corrupt, sent] = [0, 0, 0];
  const take = (chunk: Buffer) => {
    for (let at = 0; at < chunk.length; ) {
      const begin = bytes % block.length;
      const length = Math.min(chunk.length - at, block.length - begin);
      if (block.compare(chunk, at, at + length, begin, begin + length) !== 0) corrupt += length;
      bytes += length;
      at += length;
    }
  };
  to.on("data", take);
  for (; performance.now() < until; sent += block.length) {
    if (!from.write(block)) await once(from, "drain");
  }
  while (bytes < sent) {
    if (to.destroyed) throw new Error("the stream broke off");
    await setImmediate();
  }
  to.off("data", take);
  return { bytes, corrupt };
}
