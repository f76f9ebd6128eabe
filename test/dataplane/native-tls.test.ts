// TLS that ends in the native plane's threads: what passes for a record, how connections end, and what a client cannot do.

import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from "node:tls";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import type { Listener, SocketId } from "../../src/contract.ts";
import { nativePlane } from "../../src/dataplane/native.ts";
import { Method } from "../../src/stun/methods.ts";
import { needs } from "../interop/needs.ts";
import { someCertificates } from "./certificate-files.ts";
import { request } from "./conformance/byte-stream.ts";
import { obstacleToNative } from "./native-obstacle.ts";
import { channelData, Rig, until } from "./rig.ts";

const hello = request(1, 5);
const isPossible = obstacleToNative() === undefined && needs("openssl");
const recordType = { alert: 21, data: 23 } as const;

/** A client, the bytes that come to it, and a way to send others than it would. */
interface Tapped {
  readonly client: TLSSocket;
  readonly wire: Socket;
  readonly came: Buffer[];
  readonly closed: Promise<unknown>;
}

/** As clients say it, to be said again. */
function clientHello(): Promise<Buffer> {
  return new Promise((resolve) => {
    const tap = new Duplex({ read: () => {}, write: (chunk) => resolve(chunk) });
    connectTls({ socket: tap }).on("error", () => {});
  });
}

describe.runIf(isPossible).each([1, 2])("TLS in threads, of which there are %d", (threads) => {
  let rig: Rig;
  let listener: Listener;

  beforeEach(async () => {
    const certificates = await someCertificates();
    rig = new Rig((given, clock) => nativePlane(given, { threads, clock }), { entrance: { certificates } });
    listener = await rig.listen("tls");
  });
  afterEach(() => rig.close());

  async function tapped(options: ConnectionOptions = {}): Promise<Tapped> {
    const wire = connect({ host: listener.at.address, port: listener.at.port, noDelay: true });
    onTestFinished(() => void wire.destroy());
    const closed = new Promise((resolve) => wire.once("close", resolve));
    await once(wire, "connect");
    const came: Buffer[] = [];
    const tap = new Duplex({
      read: () => {},
      write: (chunk, _, done) => void wire.write(chunk, () => done()),
      final: (done) => void wire.end(done),
    });
    wire.on("error", () => {});
    wire.on("data", (chunk) => {
      came.push(chunk);
      tap.push(chunk);
    });
    wire.on("end", () => tap.push(null));
    const client = connectTls({ socket: tap, rejectUnauthorized: false, ...options });
    client.on("error", () => {});
    await once(client, "secureConnect");
    return { client, wire, came, closed };
  }

  async function speak({ client }: Tapped): Promise<SocketId> {
    client.write(hello);
    return (await rig.next("datagram")).via;
  }

  async function expectAnswer({ client }: Tapped, via: SocketId): Promise<void> {
    rig.plane.perform({ do: "send", via, to: { address: "", port: 0 }, bytes: hello });
    expect((await once(client, "data"))[0]).toEqual(hello);
  }

  /** Types of the records that came in the clear, as those of version 1.2 are. */
  function typesOf({ came }: Tapped): number[] {
    const bytes = Buffer.concat(came);
    const types: number[] = [];
    for (let at = 0; at < bytes.length; at += 5 + bytes.readUInt16BE(at + 3)) types.push(bytes.readUInt8(at));
    return types;
  }

  test("is a connection once its client has said something, and has ended when that says so", async () => {
    const end = await tapped();
    expect(rig.plane.counters().connections).toBe(0);
    const via = await speak(end);
    expect(rig.plane.counters().connections).toBe(1);
    await expectAnswer(end, via);
    end.client.end();
    expect(await rig.next("hung-up")).toEqual({ is: "hung-up", via });
    await end.closed;
    expect(rig.plane.counters().connections).toBe(0);
  });

  test("has ended, too, when its client goes without a word", async () => {
    const end = await tapped();
    const via = await speak(end);
    end.wire.destroy();
    expect(await rig.next("hung-up")).toEqual({ is: "hung-up", via });
  });

  test("is nobody's business when its client leaves before it has said anything", async () => {
    const [leaving, other] = [await tapped(), await tapped()];
    leaving.client.end();
    await leaving.closed;
    await speak(other);
    expect(rig.handed.isEmpty).toBe(true);
  });

  test("says goodbye before it hangs up", async () => {
    const end = await tapped({ maxVersion: "TLSv1.2" });
    const via = await speak(end);
    await expectAnswer(end, via);
    expect(typesOf(end).at(-1)).toBe(recordType.data);
    rig.plane.perform({ do: "hang-up", via });
    await end.closed;
    expect(typesOf(end).at(-1)).toBe(recordType.alert);
  });

  test("puts what leaves together into one record", async () => {
    const end = await tapped({ maxVersion: "TLSv1.2" });
    const via = await speak(end);
    await expectAnswer(end, via);
    const before = typesOf(end).length;
    const answers = Array.from({ length: 50 }, (_, mark) => request(0x101, mark));
    let got = Buffer.alloc(0);
    end.client.on("data", (chunk) => {
      got = Buffer.concat([got, chunk]);
    });
    for (const bytes of answers) rig.plane.perform({ do: "send", via, to: { address: "", port: 0 }, bytes });
    await until(() => got.length === Buffer.concat(answers).length);
    expect(got.equals(Buffer.concat(answers))).toBe(true);
    expect(typesOf(end).length - before).toBeLessThan(answers.length / 5);
  });

  test("is broken off at a record that nobody with its keys has made, and others go on", async () => {
    const other = await tapped();
    const others = await speak(other);
    const header = Buffer.of(recordType.data, 3, 3, 0, 64);
    const forgeries = [
      Buffer.concat([header, randomBytes(64)]),
      Buffer.concat([header.subarray(0, 3), Buffer.of(0xff, 0xff), randomBytes(100)]),
      Buffer.concat([Buffer.of(99), header.subarray(1), randomBytes(64)]),
      Buffer.concat([header.subarray(0, 3), Buffer.of(0, 0)]),
      Buffer.alloc(2000, 0xff),
      hello,
    ];
    for (const [number, forgery] of forgeries.entries()) {
      for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
        const end = await tapped({ maxVersion });
        const via = await speak(end);
        end.wire.write(forgery);
        expect(await rig.next("hung-up"), `forgery ${number} in ${maxVersion}`).toEqual({ is: "hung-up", via });
        await end.closed;
      }
    }
    expect(rig.handed.isEmpty).toBe(true);
    await expectAnswer(other, others);
  });

  test("is broken off where no thread can go on with it: two that are on TLS are not joined", async () => {
    const ends = [await tapped(), await tapped()] as const;
    const streams: SocketId[] = [];
    const got: Buffer[] = [];
    for (const { client } of ends) {
      client.on("data", (chunk) => got.push(chunk));
      client.write(Buffer.concat([request(Method.connectionBind), Buffer.from("for the other")]));
      streams.push((await rig.next("datagram")).via);
    }
    const [one = 0, other = 0] = streams;
    rig.plane.perform({ do: "join", streams: [one, other] });
    await Promise.all(ends.map(({ closed }) => closed));
    const told = [await rig.handed.next(), await rig.handed.next(), await rig.handed.next()];
    expect(told.map(({ is }) => is).sort()).toEqual(["hung-up", "hung-up", "parted"]);
    expect(got).toEqual([]);
  });

  // One thread has them all.
  if (threads === 1)
    test("lets a packet pass between handshakes, however many there are", async () => {
      const { at, socket: udp } = await rig.listen("udp");
      const [client, peer] = [await rig.udp(), await rig.udp()];
      const { relay } = await rig.openRelay(4, udp);
      rig.route(rig.leg(udp, client.at, 0x4001), rig.leg(relay, peer.at));
      let answered = 0;
      const open = async (number: number) => {
        const wire = connect({ ...listener.at, host: listener.at.address, localAddress: `127.0.${number}.1` });
        onTestFinished(() => void wire.destroy());
        wire.once("data", () => {
          answered += 1;
        });
        await once(wire, "connect");
        return wire;
      };
      const wires = await Promise.all(Array.from({ length: 100 }, (_, i) => open(i + 1)));
      const said = await clientHello();
      for (const wire of wires) wire.write(said);
      client.send(channelData(0x4001, "in between"), at);
      await peer.next();
      expect(answered).toBeLessThan(wires.length / 2);
      await until(() => answered === wires.length);
    });

  test("takes a handshake that comes byte by byte, and one with the first request right behind", async () => {
    const wire = connect({ host: listener.at.address, port: listener.at.port, noDelay: true });
    onTestFinished(() => void wire.destroy());
    await once(wire, "connect");
    const slowly = new Duplex({
      read: () => {},
      write: (chunk, _, done) => {
        for (const byte of chunk) wire.write(Buffer.of(byte));
        done();
      },
    });
    wire.on("data", (chunk) => slowly.push(chunk));
    const client = connectTls({ socket: slowly, rejectUnauthorized: false });
    client.write(hello);
    expect(Buffer.from((await rig.next("datagram")).bytes)).toEqual(hello);
  });

  test("takes no renegotiation", async () => {
    const end = await tapped({ maxVersion: "TLSv1.2" });
    await speak(end);
    const before = typesOf(end).length;
    end.client.renegotiate({ rejectUnauthorized: false }, () => {});
    await until(() => typesOf(end).length > before);
    expect(typesOf(end).slice(before)).toEqual([recordType.alert]);
  });

  test("goes on with new keys when its client wants them", async () => {
    const port = `${listener.at.address}:${listener.at.port}`;
    const client = spawn("openssl", ["s_client", "-connect", port, "-tls1_3"], { stdio: "pipe" });
    onTestFinished(() => void client.kill());
    let said = Buffer.alloc(0);
    for (const output of [client.stdout, client.stderr]) {
      output.on("data", (chunk) => {
        said = Buffer.concat([said, chunk]);
      });
    }
    for (const mark of [1, 2, 3]) {
      client.stdin.write(request(1, mark));
      const { via, bytes } = await rig.next("datagram");
      expect(Buffer.from(bytes)).toEqual(request(1, mark));
      rig.plane.perform({ do: "send", via, to: { address: "", port: 0 }, bytes: request(0x101, mark) });
      await until(() => said.includes(request(0x101, mark)));
      // A line that is a command of its own: new keys for both directions.
      client.stdin.write("K\n");
      await until(() => said.includes("KEYUPDATE"));
      said = Buffer.alloc(0);
    }
  });
});
