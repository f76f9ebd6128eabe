// DTLS listeners: what goes over a session, who may begin one, and how little those cost who do not.

import { createSocket } from "node:dgram";
import { once } from "node:events";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Listener, type PlaneOptions, Unavailable } from "../../src/contract.ts";
import { type CertificateFiles, Certificates } from "../../src/dataplane/certificates.ts";
import { nativePlane } from "../../src/dataplane/native.ts";
import { type DtlsLimits, dtlsLimits } from "../../src/dataplane/native-dtls.ts";
import { portablePlane } from "../../src/dataplane/portable.ts";
import { encode } from "../../src/stun/message.ts";
import { Method } from "../../src/stun/methods.ts";
import { needs } from "../interop/needs.ts";
import { run } from "../interop/program.ts";
import { makeCertificate, newFolder } from "./certificate-files.ts";
import { type Clients, describeRouting } from "./conformance/routing.ts";
import { DtlsEnd, type DtlsOptions, dtlsProtocol } from "./dtls-client.ts";
import { obstacleToNative } from "./native-obstacle.ts";
import { loopback, Rig, until } from "./rig.ts";

const message = Buffer.from(
  encode({ class: "request", method: Method.binding, transactionId: Buffer.alloc(12, 5), attributes: {} }),
);

function record(type: number, epoch: number, content: Uint8Array): Buffer {
  const header = Buffer.from([type, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 1, 0, 0, 0]);
  header.writeUInt16BE(content.length, 11);
  return Buffer.concat([header, content]);
}

/** Everybody at once: what the limit is for is tested where it is lowered. */
const generous: DtlsLimits = { ...dtlsLimits, begun: { perAddress: 1e6, inTotal: 1e6 } };

const onDtls: Clients = {
  transport: "dtls",
  bytes: [1, 16_384],
  async join(rig, listener, family) {
    const client = rig.keep(await DtlsEnd.connect(listener.at, {}, { address: loopback[family] }));
    client.send(message);
    const input = await rig.handed.next();
    if (input.is !== "datagram") throw new Error(`handed ${JSON.stringify(input)}`);
    return { client, via: input.via };
  },
};

describe("the portable plane", () => {
  test("says that it has no DTLS", async () => {
    const rig = new Rig((options) => portablePlane(options));
    await expect(rig.listen("dtls")).rejects.toThrow(
      new Unavailable("only the native plane speaks DTLS: see dataplane"),
    );
    await rig.close();
  });
});

describe.runIf(needs("openssl") && obstacleToNative() === undefined).each([1, 2])("DTLS on %d threads", (threads) => {
  let files: CertificateFiles;
  let folder: string;
  let certificates: Certificates;
  const rigs: Rig[] = [];

  beforeEach(async () => {
    folder = newFolder();
    files = makeCertificate(folder, ["relay.example.org"]);
    certificates = await Certificates.open([
      files,
      makeCertificate(folder, ["other.example", "*.wild.example"], "other"),
    ]);
  });

  afterEach(async () => {
    await Promise.all(rigs.splice(0).map((rig) => rig.close()));
  });

  describeRouting(
    (options, clock) =>
      nativePlane({ ...options, entrance: { certificates } }, { threads, forwardsSends: false, dtls: generous, clock }),
    onDtls,
  );

  function rigOf(limits: Partial<DtlsLimits> = {}, options: Partial<PlaneOptions> = {}): Rig {
    const make = (given: PlaneOptions, clock: BigInt64Array<ArrayBuffer>) =>
      nativePlane({ ...given, entrance: { certificates } }, { threads, clock, dtls: { ...generous, ...limits } });
    const rig = new Rig(make, options);
    rigs.push(rig);
    return rig;
  }

  async function connect(rig: Rig, on: Listener, options: DtlsOptions = {}, address?: string): Promise<DtlsEnd> {
    return rig.keep(await DtlsEnd.connect(on.at, options, address === undefined ? {} : { address }));
  }

  /** As far as the server's first flight, and no further. */
  async function halfOpen(rig: Rig, on: Listener, address: string): Promise<DtlsEnd> {
    const end = rig.keep(await DtlsEnd.open(on.at, {}, { address }));
    await end.hello();
    return end;
  }

  /** What a session is to the controller, which has to be told of something for that. */
  async function speak(rig: Rig, client: DtlsEnd): Promise<number> {
    client.send(message);
    const input = await rig.handed.next();
    if (input.is !== "datagram") throw new Error(`handed ${JSON.stringify(input)}`);
    return input.via;
  }

  test("has a name of its own for each session, and for the next one of the same client", async () => {
    const rig = rigOf();
    const on = await rig.listen("dtls");
    const [one, other] = [await connect(rig, on), await connect(rig, on)];
    const [oneVia, otherVia] = [await speak(rig, one), await speak(rig, other)];
    expect(new Set([on.socket, oneVia, otherVia]).size).toBe(3);
    expect(await speak(rig, one)).toBe(oneVia);
    expect(rig.plane.counters().connections).toBe(2);
    one.make((protocol) => protocol.close());
    expect(await rig.handed.next()).toEqual({ is: "hung-up", via: oneVia });
    await one.close();
    const again = rig.keep(await DtlsEnd.connect(on.at, {}, { port: one.at.port }));
    expect([on.socket, oneVia, otherVia]).not.toContain(await speak(rig, again));
  });

  test("answers goodbye with goodbye, and says it to everybody when it is closed", async () => {
    const rig = rigOf();
    const on = await rig.listen("dtls");
    const [leaver, stayer] = [await connect(rig, on), await connect(rig, on)];
    leaver.make((protocol) => protocol.close());
    await leaver.ended();
    expect(leaver.last.state).toBe("closed");
    expect(stayer.last.state).toBe("open");
    await rig.plane.close();
    await stayer.ended();
    expect(stayer.last.state).toBe("closed");
  });

  test("tells nobody of a session over which nothing came", async () => {
    const rig = rigOf();
    const on = await rig.listen("dtls");
    const silent = await connect(rig, on);
    expect(rig.plane.counters().connections).toBe(0);
    silent.make((protocol) => protocol.close());
    await silent.ended();
    await speak(rig, await connect(rig, on));
    expect(rig.handed.isEmpty).toBe(true);
  });

  test("lets who has lost his session begin a new one from the same port, and ends the old one first", async () => {
    const rig = rigOf();
    const on = await rig.listen("dtls");
    const lost = await connect(rig, on);
    const via = await speak(rig, lost);
    await lost.close();
    const again = rig.keep(await DtlsEnd.connect(on.at, {}, { port: lost.at.port }));
    expect(await rig.handed.next()).toEqual({ is: "hung-up", via });
    expect(await speak(rig, again)).not.toBe(via);
  });

  test("keeps a session, whatever is sent in its client's name without a cookie", async () => {
    const rig = rigOf();
    const on = await rig.listen("dtls");
    const client = await connect(rig, on);
    const via = await speak(rig, client);
    const hello = dtlsProtocol().step().out[0] ?? Buffer.alloc(0);
    client.sendRaw(hello);
    client.sendRaw(Buffer.concat([hello.subarray(0, 13), Buffer.alloc(50)]));
    client.sendRaw(record(21, 0, Buffer.from([2, 40])));
    client.sendRaw(message);
    expect(await speak(rig, client)).toBe(via);
  });

  test.each(["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-ECDSA-AES256-CCM"])(
    "keeps a session, whatever is sent in its client's name without its keys (%s)",
    async (ciphers) => {
      const rig = rigOf();
      const client = await connect(rig, await rig.listen("dtls"), { ciphers });
      const via = await speak(rig, client);
      for (let length = 0; length < 100; length += 1) {
        for (const type of [20, 21, 22, 23, 24]) client.sendRaw(record(type, 1, Buffer.alloc(length, length)));
        if (length % 10 === 0) expect(await speak(rig, client)).toBe(via);
      }
      expect(await speak(rig, client)).toBe(via);
    },
  );

  test("serves those who ask for no application, or for one of ours, and nobody else", async () => {
    const rig = rigOf();
    const on = await rig.listen("dtls");
    const asking = async (...names: string[]) => {
      const applications = Buffer.concat(
        names.map((name) => Buffer.from(`${String.fromCharCode(name.length)}${name}`)),
      );
      return (await connect(rig, on, { applications })).last.application;
    };
    expect((await connect(rig, on)).last.application).toBe("");
    expect(await asking("h2", "stun.turn")).toBe("stun.turn");
    expect(await asking("stun.nat-discovery")).toBe("stun.nat-discovery");
    await expect(asking("h2")).rejects.toThrow(/no application protocol/);
  });

  test("is of version 1.2, and of no cipher that anybody's record could end", async () => {
    const rig = rigOf();
    const on = await rig.listen("dtls");
    expect((await connect(rig, on)).last.version).toBe("DTLSv1.2");
    const weak = "DEFAULT:@SECLEVEL=0";
    await expect(connect(rig, on, { isOld: true, ciphers: weak })).rejects.toThrow(/protocol version/);
    for (const ciphers of [
      "aNULL:eNULL:@SECLEVEL=0",
      "ECDHE-ECDSA-AES256-SHA",
      "ECDHE-ECDSA-AES256-CCM8:@SECLEVEL=0",
    ]) {
      await expect(connect(rig, on, { ciphers })).rejects.toThrow(/handshake failure/);
    }
  });

  test("shows the certificate for the name that is asked for", async () => {
    const rig = rigOf();
    const on = await rig.listen("dtls");
    const shownTo = async (servername?: string) =>
      (await connect(rig, on, servername === undefined ? {} : { servername })).last.certificateName;
    expect(await shownTo()).toBe("relay.example.org");
    expect(await shownTo("OTHER.example")).toBe("other.example");
    expect(await shownTo("any.wild.example")).toBe("other.example");
    expect(await shownTo("wild.example")).toBe("relay.example.org");
    expect(await shownTo("unknown.example")).toBe("relay.example.org");
  });

  test("shows a renewed certificate to who comes, and does not disturb who is there", async () => {
    const rig = rigOf();
    const on = await rig.listen("dtls");
    const before = await connect(rig, on);
    const via = await speak(rig, before);
    makeCertificate(folder, ["renewed.example.org"]);
    await certificates.renew("changed");
    expect((await connect(rig, on)).last.certificateName).toBe("renewed.example.org");
    expect(await speak(rig, before)).toBe(via);
  });

  test("is not begun anew within a session", async () => {
    const rig = rigOf();
    const on = await rig.listen("dtls");
    const client = await connect(rig, on);
    const via = await speak(rig, client);
    client.make((protocol) => protocol.renegotiate());
    await client.ended();
    expect(client.last.why).toMatch(/no renegotiation/);
    // The client's own alert.
    expect(await rig.handed.next()).toEqual({ is: "hung-up", via });
  });

  test("sends no datagram of a handshake that would not fit any path", async () => {
    const rig = rigOf();
    makeCertificate(
      folder,
      Array.from({ length: 150 }, (_, i) => `name-${i}.relay.example.org`),
    );
    await certificates.renew("changed");
    const client = await connect(rig, await rig.listen("dtls"));
    expect(Math.max(...client.received)).toBeLessThanOrEqual(1200);
    expect(client.received.reduce((sum, bytes) => sum + bytes, 0)).toBeGreaterThan(3000);
  });

  test("sends its flight again when it seems to be lost", async () => {
    const rig = rigOf();
    const client = await halfOpen(rig, await rig.listen("dtls"), loopback[4]);
    const flight = client.received.length;
    await until(() => client.received.length >= 2 * flight - 1);
    client.proceed();
    await client.handshake();
    expect(await speak(rig, client)).toBeGreaterThan(0);
  });

  test("is not for clients that may not come in", async () => {
    const rig = rigOf({}, { mayEnter: (address) => address !== "127.0.0.66" });
    const on = await rig.listen("dtls");
    const end = rig.keep(await DtlsEnd.open(on.at, {}, { address: "127.0.0.66" }));
    void end.handshake().catch(() => {});
    await rig.expectDropped("forbidden-client", 1);
    await speak(rig, await connect(rig, on, {}, "127.0.0.67"));
  });

  test("answers a ClientHello without a cookie with less than it is, once, and keeps nothing", async () => {
    const rig = rigOf({ sessions: 1 });
    const on = await rig.listen("dtls");
    const socket = createSocket("udp4").bind(0, loopback[4]);
    await once(socket, "listening");
    const replies: Buffer[] = [];
    socket.on("message", (bytes) => replies.push(bytes));
    const hello = dtlsProtocol().step().out[0] ?? Buffer.alloc(0);
    const shortest = Buffer.concat([hello.subarray(0, 59), Buffer.from([0, 0])]);
    shortest.writeUInt16BE(48, 11);
    for (const at of [14, 22]) shortest.writeUIntBE(36, at, 3);
    for (let sent = 1; sent <= 1000; sent += 1) {
      socket.send(sent % 2 ? hello : shortest, on.at.port, on.at.address);
      if (sent % 50 === 0) await until(() => replies.length === sent);
    }
    for (const reply of replies) {
      expect(reply.length).toBeLessThanOrEqual(shortest.length);
      // HelloVerifyRequest.
      expect([reply[0], reply[13]]).toEqual([22, 3]);
    }
    await speak(rig, await connect(rig, on));
    expect(replies.length).toBe(1000);
    expect(rig.plane.counters().dropped.flooded).toBe(0);
    await new Promise<void>((resolve) => socket.close(() => resolve()));
  });

  test("takes nobody's cookie for another's", async () => {
    const rig = rigOf();
    const on = await rig.listen("dtls");
    const [one, other] = [await DtlsEnd.open(on.at), await DtlsEnd.open(on.at)];
    rig.keep(one);
    rig.keep(other);
    const withCookie = await one.cookie();
    other.sendRaw(withCookie);
    await until(() => other.received.length > 0);
    expect(other.received).toEqual([expect.any(Number)]);
    // What came is another cookie, and no flight.
    expect(other.received[0]).toBeLessThan(100);
  });

  test("gives a handshake ten seconds", async () => {
    const rig = rigOf({ sessions: 1 });
    const on = await rig.listen("dtls");
    await halfOpen(rig, on, "127.0.0.2");
    const refused = rig.keep(await DtlsEnd.open(on.at));
    const coming = refused.handshake();
    await until(() => rig.plane.counters().dropped.flooded > 0);
    rig.now += dtlsLimits.handshakeMillis;
    await coming;
    expect(await speak(rig, refused)).toBeGreaterThan(0);
  });

  // Once is enough of so many.
  if (threads === 1)
    test("lets the oldest of too many handshakes make room, so that 3,000 of them disturb nobody", async () => {
      const rig = rigOf({ sessions: 300, sessionsPerHost: 300, handshakes: 64 });
      const on = await rig.listen("dtls");
      for (let begun = 0; begun < 3000; begun += 100) {
        const address = `127.0.1.${1 + ((begun / 100) % 250)}`;
        const batch = await Promise.all(Array.from({ length: 100 }, () => DtlsEnd.open(on.at, {}, { address })));
        await Promise.all(batch.map((end) => end.hello()));
        await Promise.all(batch.map((end) => end.close()));
        if (begun % 1000 === 0) await speak(rig, await connect(rig, on));
      }
      expect(rig.plane.counters()).toMatchObject({ connections: 3, dropped: { congested: 0 } });
    }, 60_000);

  test("has no more sessions than it may, in all and of one host, and takes others when some have ended", async () => {
    const rig = rigOf({ sessions: 3, sessionsPerHost: 2 });
    const on = await rig.listen("dtls");
    const first = await connect(rig, on, {}, "127.0.0.2");
    await connect(rig, on, {}, "127.0.0.2");
    const third = rig.keep(await DtlsEnd.open(on.at, {}, { address: "127.0.0.2" }));
    const coming = third.handshake();
    await rig.expectDropped("flooded", 1);
    await connect(rig, on, {}, "127.0.0.3");
    first.make((protocol) => protocol.close());
    await coming;
    expect(await speak(rig, third)).toBeGreaterThan(0);
  });

  test("begins no more handshakes a second than it may", async () => {
    const rig = rigOf({ begun: { perAddress: 10, inTotal: 20 } });
    const on = await rig.listen("dtls");
    await connect(rig, on);
    const late = rig.keep(await DtlsEnd.open(on.at));
    const coming = late.handshake();
    await rig.expectDropped("flooded", 1);
    rig.now += 100;
    await coming;
  });

  test("ends a session that says nothing for a quarter of an hour, unless a route runs over it", async () => {
    const rig = rigOf();
    const on = await rig.listen("dtls");
    const [idle, busy, peer] = [await connect(rig, on), await connect(rig, on), await rig.udp()];
    const [idleVia, busyVia] = [await speak(rig, idle), await speak(rig, busy)];
    const { relay } = await rig.openRelay(4, busyVia);
    const ends = rig.now + 2 * dtlsLimits.idleMillis;
    rig.route(rig.leg(busyVia, busy.at, 0x4000, ends), rig.leg(relay, peer.at, "bare", ends));
    rig.now += dtlsLimits.idleMillis;
    expect(await rig.handed.next()).toEqual({ is: "hung-up", via: idleVia });
    await idle.ended();
    expect(await speak(rig, busy)).toBe(busyVia);
    rig.now = ends + dtlsLimits.idleMillis;
    expect(await rig.handed.next()).toEqual({ is: "hung-up", via: busyVia });
  });

  test("survives whatever it is sent", async () => {
    const rig = rigOf();
    const on = await rig.listen("dtls");
    const client = await connect(rig, on);
    const via = await speak(rig, client);
    const end = rig.keep(await DtlsEnd.open(on.at));
    const withCookie = await end.cookie();
    for (let round = 0; round < 3000; round += 1) {
      const bytes = Buffer.from(round % 3 === 0 ? withCookie : Buffer.alloc(1 + (round % 400)));
      for (let change = 0; change <= round % 7; change += 1) {
        bytes[Math.floor(Math.random() * bytes.length)] = Math.floor(Math.random() * 256);
      }
      (round % 2 ? client : end).sendRaw(bytes.subarray(0, 1 + Math.floor(Math.random() * bytes.length)));
      if (round % 100 === 0) expect(await speak(rig, client)).toBe(via);
    }
    await speak(rig, await connect(rig, on));
  });

  test("is spoken by openssl", async () => {
    const rig = rigOf();
    const on = await rig.listen("dtls");
    const port = `${on.at.address}:${on.at.port}`;
    const { output } = await run("openssl", [
      "s_client",
      "-dtls1_2",
      "-connect",
      port,
      "-alpn",
      "stun.turn",
      "-mtu",
      "1200",
    ]);
    expect(output).toContain("ALPN protocol: stun.turn");
    expect(output).toMatch(/Protocol *: DTLSv1\.2/);
    expect(output).toMatch(/Cipher *: ECDHE-ECDSA-AES\d+-GCM/);
  });
});
