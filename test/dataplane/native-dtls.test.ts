// DTLS sessions of the native plane: whose each is, what it carries, and what ends it (RFC 6347, RFC 7350).

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Unavailable } from "../../src/contract.ts";
import { nativePlane } from "../../src/dataplane/native.ts";
import { dtlsLimits } from "../../src/dataplane/native-dtls.ts";
import { portablePlane } from "../../src/dataplane/portable.ts";
import { needs } from "../interop/needs.ts";
import { makeCertificate } from "./certificate-files.ts";
import { describeRouteEnds } from "./conformance/route-ends.ts";
import { describeRouting } from "./conformance/routing.ts";
import type { Clients } from "./conformance/scene.ts";
import { describeSending } from "./conformance/sending.ts";
import { DtlsEnd, dtlsProtocol } from "./dtls-client.ts";
import { connect, DtlsStage, generous, message, speak } from "./dtls-stage.ts";
import { obstacleToNative } from "./native-obstacle.ts";
import { loopback, type Make, Rig } from "./rig.ts";

function record(type: number, epoch: number, content: Uint8Array): Buffer {
  const header = Buffer.from([type, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 1, 0, 0, 0]);
  header.writeUInt16BE(content.length, 11);
  return Buffer.concat([header, content]);
}

const onDtls: Clients = {
  transport: "dtls",
  bytes: [1, 16_384],
  async join(rig, listener, family) {
    const client = rig.keep(await DtlsEnd.connect(listener.at, {}, { address: loopback[family] }));
    return { client, via: await speak(rig, client) };
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
  let stage: DtlsStage;
  beforeEach(async () => {
    stage = await DtlsStage.open(threads);
  });
  afterEach(() => stage.close());

  const make: Make = (options, clock) =>
    nativePlane(
      { ...options, entrance: { certificates: stage.certificates } },
      { threads, forwardsSends: false, dtls: generous, clock },
    );
  describeRouting(make, onDtls);
  describeRouteEnds(make, onDtls);
  describeSending(make, onDtls);

  test("has a name of its own for each session, and for the next one of the same client", async () => {
    const rig = stage.rigOf();
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
    const rig = stage.rigOf();
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
    const rig = stage.rigOf();
    const on = await rig.listen("dtls");
    const silent = await connect(rig, on);
    expect(rig.plane.counters().connections).toBe(0);
    silent.make((protocol) => protocol.close());
    await silent.ended();
    await speak(rig, await connect(rig, on));
    expect(rig.handed.isEmpty).toBe(true);
  });

  test("lets who has lost his session begin a new one from the same port, and ends the old one first", async () => {
    const rig = stage.rigOf();
    const on = await rig.listen("dtls");
    const lost = await connect(rig, on);
    const via = await speak(rig, lost);
    await lost.close();
    const again = rig.keep(await DtlsEnd.connect(on.at, {}, { port: lost.at.port }));
    expect(await rig.handed.next()).toEqual({ is: "hung-up", via });
    expect(await speak(rig, again)).not.toBe(via);
  });

  test("keeps a session, whatever is sent in its client's name without a cookie", async () => {
    const rig = stage.rigOf();
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
      const rig = stage.rigOf();
      const client = await connect(rig, await rig.listen("dtls"), { ciphers });
      const via = await speak(rig, client);
      for (let length = 0; length < 100; length += 1) {
        for (const type of [20, 21, 22, 23, 24]) client.sendRaw(record(type, 1, Buffer.alloc(length, length)));
        if (length % 10 === 0) expect(await speak(rig, client)).toBe(via);
      }
      expect(await speak(rig, client)).toBe(via);
    },
  );

  test("shows a renewed certificate to who comes, and does not disturb who is there", async () => {
    const rig = stage.rigOf();
    const on = await rig.listen("dtls");
    const before = await connect(rig, on);
    const via = await speak(rig, before);
    makeCertificate(stage.folder, ["renewed.example.org"]);
    await stage.certificates.renew("changed");
    expect((await connect(rig, on)).last.certificateName).toBe("renewed.example.org");
    expect(await speak(rig, before)).toBe(via);
  });

  test("is not begun anew within a session", async () => {
    const rig = stage.rigOf();
    const on = await rig.listen("dtls");
    const client = await connect(rig, on);
    const via = await speak(rig, client);
    client.make((protocol) => protocol.renegotiate());
    await client.ended();
    expect(client.last.why).toMatch(/no renegotiation/);
    // The client's own alert.
    expect(await rig.handed.next()).toEqual({ is: "hung-up", via });
  });

  test("ends a session that says nothing for a quarter of an hour, unless a route runs over it", async () => {
    const rig = stage.rigOf();
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
    const rig = stage.rigOf();
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
});
