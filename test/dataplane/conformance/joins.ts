// Two connections of clients that are joined, as the proxy of bytestreams (XEP-0065) has it, with limits of their own.

import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync, readdirSync, readlinkSync } from "node:fs";
import { connect } from "node:net";
import { setImmediate } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { SocketId, TrafficLimit } from "../../../src/contract.ts";
import { Method } from "../../../src/stun/methods.ts";
import { type Make, Rig, until } from "../rig.ts";
import { ByteStream, request } from "./byte-stream.ts";

interface Pair {
  readonly one: ByteStream;
  readonly other: ByteStream;
  readonly streams: readonly [SocketId, SocketId];
}

const fileBytes = 100_000_000;

/** Ends of pipes that this process has, where the system tells. */
function openPipes(): number {
  if (!existsSync("/proc/self/fd")) return 0;
  const isPipe = (fd: string) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith("pipe:");
    } catch {
      // The folder was open itself while it was read.
      return false;
    }
  };
  return readdirSync("/proc/self/fd").filter(isPipe).length;
}

export function describeJoins(make: Make): void {
  describe("two joined connections", () => {
    let rig: Rig;
    beforeEach(() => {
      rig = new Rig(make);
    });
    afterEach(() => rig.close());

    /** Whose last frame may be followed by anything. */
    async function client(): Promise<{ readonly stream: ByteStream; readonly via: SocketId }> {
      const { at } = await rig.listen("tcp");
      const socket = connect({ host: at.address, port: at.port, allowHalfOpen: true, noDelay: true });
      await once(socket, "connect");
      const stream = rig.keep(new ByteStream(socket));
      socket.write(request(Method.connectionBind));
      return { stream, via: (await rig.next("datagram")).via };
    }

    async function joined(options: { limits?: readonly TrafficLimit[]; idleSeconds?: number } = {}): Promise<Pair> {
      const [one, other] = [await client(), await client()];
      const streams = [one.via, other.via] as const;
      rig.plane.perform({ do: "join", streams, ...options });
      return { one: one.stream, other: other.stream, streams };
    }

    /** Writes a file of chance, and gives its hash when all of it is written. */
    async function send({ socket }: ByteStream): Promise<string> {
      const hash = createHash("sha256");
      const piece = randomBytes(1_000_000);
      for (let sent = 0; sent < fileBytes; sent += piece.length) {
        piece.writeUInt32BE(sent);
        hash.update(piece);
        if (!socket.write(Buffer.from(piece))) await once(socket, "drain");
      }
      socket.end();
      return hash.digest("hex");
    }

    async function hashOfAll({ socket }: ByteStream): Promise<string> {
      const hash = createHash("sha256");
      socket.removeAllListeners("data").on("data", (chunk) => hash.update(chunk));
      await once(socket, "end");
      return hash.digest("hex");
    }

    test("carry a hundred megabytes in each direction at once, and change nothing", { timeout: 120_000 }, async () => {
      const { one, other, streams } = await joined();
      const [sent, answered, got, gotBack] = await Promise.all([
        send(one),
        send(other),
        hashOfAll(other),
        hashOfAll(one),
      ]);
      expect([got, gotBack]).toEqual([sent, answered]);
      await Promise.all([rig.next("hung-up"), rig.next("hung-up")]);
      const { usage, ...parted } = await rig.next("parted");
      expect(parted).toEqual({ is: "parted", streams });
      expect([usage.toPeer.bytes, usage.toClient.bytes]).toEqual([fileBytes, fileBytes]);
    });

    test("are said to have parted once, behind the end of each", async () => {
      const { one, other, streams } = await joined();
      one.socket.write("hello");
      await other.take(5);
      other.socket.resetAndDestroy();
      await one.closed;
      const ends = [(await rig.next("hung-up")).via, (await rig.next("hung-up")).via];
      expect(new Set(ends)).toEqual(new Set(streams));
      expect(await rig.next("parted")).toMatchObject({
        streams,
        usage: { toPeer: { bytes: 5 }, toClient: { bytes: 0 } },
      });
      // What follows is of somebody else.
      await client();
      expect(rig.handed.isEmpty).toBe(true);
    });

    test("leave nothing open behind them, though they are broken off in the middle of a file", async () => {
      const cycle = async () => {
        const { one, other } = await joined();
        one.socket.write("hello");
        await other.take(5);
        other.socket.pause();
        // Until all that there is on the way is full.
        while (one.socket.writableLength < 8_000_000) {
          one.socket.write(Buffer.alloc(1_000_000));
          await setImmediate();
        }
        other.socket.resetAndDestroy();
        await one.closed;
        for (const is of ["hung-up", "hung-up", "parted"] as const) await rig.next(is);
      };
      // A few pipes are kept for the next ones.
      await cycle();
      const before = openPipes();
      for (let cycles = 0; cycles < 10; cycles += 1) await cycle();
      expect(openPipes() - before).toBeLessThan(10);
    });

    test.each([
      ["the first", 1],
      ["the other", 2],
      ["each", 3],
    ])("are broken off when %s is hung up while they are being joined, and have parted then", async (_, which) => {
      const { one, other, streams } = await joined();
      for (const [index, via] of streams.entries()) if (which & (1 << index)) rig.plane.perform({ do: "hang-up", via });
      await Promise.all([one.closed, other.closed]);
      expect([one.hasEnded, other.hasEnded]).toEqual([false, false]);
      const ends = [(await rig.next("hung-up")).via, (await rig.next("hung-up")).via];
      expect(new Set(ends)).toEqual(new Set(streams));
      expect(await rig.next("parted")).toMatchObject({ streams, usage: { toPeer: { bytes: 0 } } });
      await client();
      expect(rig.handed.isEmpty).toBe(true);
    });

    test("end when neither has said anything for as long as they may be silent", async () => {
      const { one, other, streams } = await joined({ idleSeconds: 60 });
      rig.now += 50_000;
      one.socket.write("still here");
      await other.take(10);
      rig.now += 50_000;
      other.socket.write("so am I");
      await one.take(7);
      let isOver = false;
      void Promise.all([one.closed, other.closed]).then(() => {
        isOver = true;
      });
      await until(() => {
        rig.now += 1000;
        return isOver;
      });
      expect([one.hasEnded, other.hasEnded]).toEqual([false, false]);
      await Promise.all([rig.next("hung-up"), rig.next("hung-up")]);
      expect(await rig.next("parted")).toMatchObject({
        streams,
        usage: { toPeer: { bytes: 10 }, toClient: { bytes: 7 } },
      });
    });

    test("are held to a limit in one direction without the other having to wait", async () => {
      const { one, other, streams } = await joined({ limits: [{ bucket: "pair", bytesPerSecond: 1000 }] });
      one.socket.write("a".repeat(1500));
      await other.take(1500);
      one.socket.write("b".repeat(500));
      other.socket.write("back");
      expect(await one.take(4)).toBe("back");
      expect(rig.plane.usage(streams[0])?.toPeer.bytes).toBe(1500);
      expect(other.isEmpty).toBe(true);
      rig.now += 2000;
      expect(await other.take(500)).toBe("b".repeat(500));
    });

    test("share what a limit leaves with another pair that names it", async () => {
      const limits = [{ bucket: "all", bytesPerSecond: 1000 }];
      const [first, second] = [await joined({ limits }), await joined({ limits })];
      first.one.socket.write("a".repeat(1500));
      await first.other.take(1500);
      second.one.socket.end("b");
      rig.now += 400;
      await until(() => second.one.socket.writableFinished);
      expect(second.other.isEmpty).toBe(true);
      rig.now += 1000;
      expect(await second.other.take(1)).toBe("b");
      await until(() => second.other.hasEnded);
    });

    test("keep no more of what one sends than a little while the other takes nothing", async () => {
      const { one, other, streams } = await joined();
      other.socket.pause();
      const bytes = 60_000_000;
      one.socket.write(Buffer.alloc(bytes, "x"));
      let [passed, stillTurns] = [0, 0];
      await until(() => {
        const now = rig.plane.usage(streams[0])?.toPeer.bytes ?? 0;
        stillTurns = now === passed ? stillTurns + 1 : 0;
        passed = now;
        return passed > 0 && stillTurns === 200;
      });
      expect(passed).toBeLessThan(bytes / 2);
      other.socket.resetAndDestroy();
      await one.closed;
    });
  });
}
