// TLS listeners: who is let in, with which certificate and application, and how little a half-open handshake costs.

import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setImmediate } from "node:timers/promises";
import { type ConnectionOptions, type TLSSocket, connect as tlsConnect } from "node:tls";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Dataplane, Endpoint, Listener } from "../../src/contract.ts";
import { type CertificateFiles, Certificates } from "../../src/dataplane/certificates.ts";
import { nativePlane } from "../../src/dataplane/native.ts";
import { portableLimits, portablePlane } from "../../src/dataplane/portable.ts";
import { type StreamingPlaneOptions, type StreamLimits, streamLimits } from "../../src/dataplane/stream.ts";
import { encode } from "../../src/stun/message.ts";
import { Method } from "../../src/stun/methods.ts";
import { needs } from "../interop/needs.ts";
import { run } from "../interop/program.ts";
import { makeCertificate, newFolder } from "./certificate-files.ts";
import { obstacleToNative } from "./native-obstacle.ts";
import { closeOf, Inbox, Rig, until } from "./rig.ts";

const binding = { class: "request", method: Method.binding, transactionId: Buffer.alloc(12) } as const;
const message = Buffer.from(encode({ ...binding, attributes: {} }));
const longer = Buffer.from(encode({ ...binding, attributes: { software: "of some length" } }));
/** What a handshake begins with. Nothing follows it. */
const helloStart = Buffer.from("160301020001000", "hex");

type Plane = (options: StreamingPlaneOptions, clock: BigInt64Array<ArrayBuffer>, streams: StreamLimits) => Dataplane;

const portable: Plane = (options, _, streams) => portablePlane(options, { ...portableLimits, streams });
/** On one thread, which so has all places for handshakes. */
const native: Plane = (options, clock, streams) => nativePlane(options, { threads: 1, clock, streams });
const planes = [["portable", portable] as const, ...(obstacleToNative() ? [] : [["native", native] as const])];

describe.runIf(needs("openssl")).each(planes)("TLS on the %s plane", (_, make) => {
  let folder: string;
  let files: CertificateFiles;
  let certificates: Certificates;
  let rig: Rig;
  let listener: Listener;
  let received: Inbox<{ readonly listener: Listener; readonly client: Endpoint; readonly frame: Buffer }>;
  const sockets: Socket[] = [];

  /** What comes is answered with itself. */
  async function listen(limits: Partial<StreamLimits> = {}): Promise<void> {
    rig = new Rig((options, clock) => make(options, clock, { ...streamLimits, ...limits }), {
      entrance: { certificates },
      hand: (input) => {
        if (input.is !== "datagram") return;
        const { on, from, via, bytes } = input;
        received.put({ listener: on, client: from, frame: Buffer.from(bytes) });
        rig.plane.perform({ do: "send", via, to: from, bytes });
      },
    });
    listener = await rig.listen("tls");
  }

  function connections(): number {
    return rig.plane.counters().connections;
  }

  beforeEach(async () => {
    received = new Inbox();
    folder = newFolder();
    files = makeCertificate(folder, ["relay.example.org"]);
    certificates = await Certificates.open([
      files,
      makeCertificate(folder, ["other.example", "*.example.net"], "other"),
    ]);
  });

  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await rig.close();
  });

  /** Rejects with what went wrong. */
  async function handshake(options: ConnectionOptions = {}): Promise<TLSSocket> {
    const client = tlsConnect({
      host: listener.at.address,
      port: listener.at.port,
      rejectUnauthorized: false,
      ...options,
    });
    sockets.push(client);
    await once(client, "secureConnect");
    return client;
  }

  async function halfOpen(start = helloStart, from = "127.0.0.1"): Promise<Socket> {
    const client = connect({ host: listener.at.address, port: listener.at.port, localAddress: from });
    sockets.push(client);
    client.on("error", () => {}).resume();
    await once(client, "connect");
    client.write(start);
    return client;
  }

  /** Resolves with what the client gets for one message. */
  async function exchange(client: Socket): Promise<Buffer> {
    const answered = once(client, "data");
    client.write(message);
    return (await answered)[0];
  }

  test("carries frames both ways, and the client is who it is on TCP", async () => {
    await listen();
    const client = await handshake();
    expect(await exchange(client)).toEqual(message);
    expect(await received.next()).toEqual({
      listener,
      client: { address: "127.0.0.1", port: client.localPort },
      frame: message,
    });
  });

  test("serves those who ask for no application, or for one of ours, and nobody else", async () => {
    await listen();
    const applicationOf = async (...ALPNProtocols: string[]) => (await handshake({ ALPNProtocols })).alpnProtocol;
    expect(await applicationOf()).toBe(false);
    expect(await applicationOf("h2", "stun.turn")).toBe("stun.turn");
    expect(await applicationOf("stun.nat-discovery")).toBe("stun.nat-discovery");
    await expect(applicationOf("h2")).rejects.toThrow(/no application protocol/);
  });

  test("is of version 1.2 at least", async () => {
    await listen();
    const old = { ciphers: "DEFAULT@SECLEVEL=0" } as const;
    expect((await handshake({ minVersion: "TLSv1.2", maxVersion: "TLSv1.2", ...old })).getProtocol()).toBe("TLSv1.2");
    expect((await handshake()).getProtocol()).toBe("TLSv1.3");
    const tooOld = { minVersion: "TLSv1", maxVersion: "TLSv1.1", ...old } as const;
    await expect(handshake(tooOld)).rejects.toThrow(/protocol version/);
    await expect(handshake({ ...tooOld, servername: "other.example" })).rejects.toThrow(/protocol version/);
  });

  test("shows the certificate for the name that is asked for", async () => {
    await listen();
    const shownTo = async (servername?: string) =>
      (await handshake(servername === undefined ? {} : { servername })).getPeerCertificate().subject.CN;
    expect(await shownTo()).toBe("relay.example.org");
    expect(await shownTo("other.example")).toBe("other.example");
    expect(await shownTo("unknown.example")).toBe("relay.example.org");
  });

  test("shows that of a wildcard for one label more, and neither for two nor for none", async () => {
    await listen();
    const shownTo = async (servername: string) => (await handshake({ servername })).getPeerCertificate().subject.CN;
    expect(await shownTo("a.example.net")).toBe("other.example");
    expect(await shownTo("A.Example.NET")).toBe("other.example");
    for (const other of ["a.b.example.net", "example.net"]) expect(await shownTo(other)).toBe("relay.example.org");
  });

  test("shows a renewed certificate to who comes, and does not disturb who is there or halfway in", async () => {
    await listen();
    const before = await handshake();
    const halfway = await halfOpen(helloStart.subarray(0, 5));
    makeCertificate(folder, ["renewed.example.org"]);
    await certificates.renew("changed");
    expect((await handshake()).getPeerCertificate().subject.CN).toBe("renewed.example.org");
    expect(await exchange(before)).toEqual(message);
    expect(halfway.closed).toBe(false);
  });

  test.each(["TLSv1.2", "TLSv1.3"])("is spoken by openssl, in %s", async (version) => {
    await listen();
    const port = `${listener.at.address}:${listener.at.port}`;
    const flag = version === "TLSv1.2" ? "-tls1_2" : "-tls1_3";
    const { output } = await run("openssl", ["s_client", "-connect", port, "-alpn", "stun.turn", flag]);
    expect(output).toContain("ALPN protocol: stun.turn");
    expect(output).toContain(version);
  });

  test("closes on who speaks something else", async () => {
    await listen();
    const client = connect({ host: listener.at.address, port: listener.at.port });
    sockets.push(client);
    client.on("error", () => {}).resume();
    client.write(message);
    await closeOf(client);
    expect(connections()).toBe(0);
  });

  test("cuts frames out of any pieces", async () => {
    await listen();
    const client = await handshake();
    const frames = [message, longer, message];
    for (const byte of Buffer.concat(frames)) client.write(Buffer.of(byte));
    for (const frame of frames) expect((await received.next()).frame).toEqual(frame);
  });

  test("gives a handshake ten seconds", async () => {
    await listen();
    const accepted = await handshake();
    await exchange(accepted);
    const client = await halfOpen();
    // By then it has been accepted.
    await exchange(await handshake());
    rig.now += streamLimits.arrivalMillis - 1000;
    expect(await exchange(await handshake())).toEqual(message);
    expect(client.closed).toBe(false);
    rig.now += 1000;
    await closeOf(client);
    expect(await exchange(accepted)).toEqual(message);
  });

  test("lets the oldest of too many handshakes make room", async () => {
    await listen({ arrivals: 2 });
    const [first, second] = [await halfOpen(), await halfOpen()];
    const ends = [first, second].map((client) => closeOf(client));
    const third = await halfOpen();
    await ends[0];
    expect(second.closed).toBe(false);
    expect(await exchange(await handshake())).toEqual(message);
    await ends[1];
    expect(third.closed).toBe(false);
  });

  test("counts handshakes to the connections of an address", async () => {
    await listen({ connectionsPerHost: 2 });
    const first = await handshake();
    const second = await halfOpen();
    await expect(handshake()).rejects.toThrow();
    second.destroy();
    first.destroy();
    await until(() => first.closed && second.closed);
    // They are gone here; the plane may have yet to hear of it.
    for (;;) {
      const client = await handshake().catch(() => undefined);
      if (client) return expect(await exchange(client)).toEqual(message);
      await setImmediate();
    }
  });

  test("does not let a handshake in when the connections became too many meanwhile", async () => {
    await listen({ connections: 1 });
    const late = connect({ host: listener.at.address, port: listener.at.port });
    sockets.push(late);
    await once(late, "connect");
    expect(await exchange(await handshake())).toEqual(message);
    const refused = tlsConnect({ socket: late, rejectUnauthorized: false });
    refused.on("error", () => {}).resume();
    refused.write(message);
    await closeOf(refused);
    expect(connections()).toBe(1);
  });

  test("ends every handshake when it is closed", async () => {
    await listen();
    const client = await halfOpen();
    const closed = closeOf(client);
    await handshake();
    await rig.plane.close();
    await closed;
  });

  test("serves on while 10,000 handshakes are begun and none is finished", { timeout: 60_000 }, async () => {
    await listen();
    let open = 0;
    for (let begun = 0; begun < 10_000; begun += 100) {
      const batch = Array.from({ length: 100 }, (_, i) => halfOpen(helloStart, `127.0.1.${(begun + i) % 250}`));
      for (const client of await Promise.all(batch)) {
        open += 1;
        client.once("close", () => {
          open -= 1;
        });
      }
      if (begun % 1000 === 0) expect(await exchange(await handshake())).toEqual(message);
    }
    await until(() => open <= streamLimits.arrivals);
    rig.now += streamLimits.arrivalMillis;
    await until(() => open === 0);
    expect(connections()).toBe(10);
  });
});
