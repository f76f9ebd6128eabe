// How a DTLS session of the native plane begins, for whom, and how many may (RFC 6347 section 4.2, RFC 7350).

import { createSocket } from "node:dgram";
import { once } from "node:events";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { dtlsLimits } from "../../src/dataplane/native-dtls.ts";
import { needs } from "../interop/needs.ts";
import { run } from "../interop/program.ts";
import { makeCertificate } from "./certificate-files.ts";
import { DtlsEnd, dtlsProtocol } from "./dtls-client.ts";
import { connect, DtlsStage, halfOpen, speak } from "./dtls-stage.ts";
import { obstacleToNative } from "./native-obstacle.ts";
import { loopback, until } from "./rig.ts";

describe.runIf(needs("openssl") && obstacleToNative() === undefined).each([1, 2])("DTLS on %d threads", (threads) => {
  let stage: DtlsStage;
  beforeEach(async () => {
    stage = await DtlsStage.open(threads);
  });
  afterEach(() => stage.close());

  test("serves those who ask for no application, or for one of ours, and nobody else", async () => {
    const rig = stage.rigOf();
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
    const rig = stage.rigOf();
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
    const rig = stage.rigOf();
    const on = await rig.listen("dtls");
    const shownTo = async (servername?: string) =>
      (await connect(rig, on, servername === undefined ? {} : { servername })).last.certificateName;
    expect(await shownTo()).toBe("relay.example.org");
    expect(await shownTo("OTHER.example")).toBe("other.example");
    expect(await shownTo("any.wild.example")).toBe("other.example");
    expect(await shownTo("wild.example")).toBe("relay.example.org");
    expect(await shownTo("unknown.example")).toBe("relay.example.org");
  });

  test("sends no datagram of a handshake that would not fit any path", async () => {
    const rig = stage.rigOf();
    makeCertificate(
      stage.folder,
      Array.from({ length: 150 }, (_, i) => `name-${i}.relay.example.org`),
    );
    await stage.certificates.renew("changed");
    const client = await connect(rig, await rig.listen("dtls"));
    expect(Math.max(...client.received)).toBeLessThanOrEqual(1200);
    expect(client.received.reduce((sum, bytes) => sum + bytes, 0)).toBeGreaterThan(3000);
  });

  test("sends its flight again when it seems to be lost", async () => {
    const rig = stage.rigOf();
    const client = await halfOpen(rig, await rig.listen("dtls"), loopback[4]);
    const flight = client.received.length;
    await until(() => client.received.length >= 2 * flight - 1);
    client.proceed();
    await client.handshake();
    expect(await speak(rig, client)).toBeGreaterThan(0);
  });

  test("is not for clients that may not come in", async () => {
    const rig = stage.rigOf({}, { mayEnter: (address) => address !== "127.0.0.66" });
    const on = await rig.listen("dtls");
    const end = rig.keep(await DtlsEnd.open(on.at, {}, { address: "127.0.0.66" }));
    void end.handshake().catch(() => {});
    await rig.expectDropped("forbidden-client", 1);
    await speak(rig, await connect(rig, on, {}, "127.0.0.67"));
  });

  test("answers a ClientHello without a cookie with less than it is, once, and keeps nothing", async () => {
    const rig = stage.rigOf({ sessions: 1 });
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
    const rig = stage.rigOf();
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
    const rig = stage.rigOf({ sessions: 1 });
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
      const rig = stage.rigOf({ sessions: 300, sessionsPerHost: 300, handshakes: 64 });
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
    const rig = stage.rigOf({ sessions: 3, sessionsPerHost: 2 });
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
    const rig = stage.rigOf({ begun: { perAddress: 10, inTotal: 20 } });
    const on = await rig.listen("dtls");
    await connect(rig, on);
    const late = rig.keep(await DtlsEnd.open(on.at));
    const coming = late.handshake();
    await rig.expectDropped("flooded", 1);
    rig.now += 100;
    await coming;
  });

  test("is spoken by openssl", async () => {
    const rig = stage.rigOf();
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
