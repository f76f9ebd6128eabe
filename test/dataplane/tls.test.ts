// TLS listeners: who is let in, with which certificate and application, and how little a half-open handshake costs.

import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { type ConnectionOptions, type TLSSocket, connect as tlsConnect } from "node:tls";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Endpoint, Listener } from "../../src/contract.ts";
import { type CertificateFiles, Certificates } from "../../src/dataplane/certificates.ts";
import { type StreamLimits, Streams, streamLimits } from "../../src/dataplane/stream.ts";
import { encode } from "../../src/stun/message.ts";
import { Method } from "../../src/stun/methods.ts";
import { needs } from "../interop/needs.ts";
import { run } from "../interop/program.ts";
import { makeCertificate, newFolder } from "./certificate-files.ts";
import { closeOf, Inbox, until } from "./rig.ts";

const binding = { class: "request", method: Method.binding, transactionId: Buffer.alloc(12) } as const;
const message = Buffer.from(encode({ ...binding, attributes: {} }));
const longer = Buffer.from(encode({ ...binding, attributes: { software: "of some length" } }));
/** What a handshake begins with. Nothing follows it. */
const helloStart = Buffer.from("160301020001000", "hex");

describe.runIf(needs("openssl"))("TLS", () => {
  let now = 1000;
  let folder: string;
  let files: CertificateFiles;
  let certificates: Certificates;
  let streams: Streams;
  let at: Endpoint;
  let received: Inbox<{ readonly listener: Listener; readonly client: Endpoint; readonly frame: Buffer }>;
  const sockets: Socket[] = [];

  async function listen(limits: Partial<StreamLimits> = {}): Promise<void> {
    let lastId = 0;
    streams = new Streams({
      limits: { ...streamLimits, ...limits },
      certificates,
      now: () => now,
      newSocketId: () => {
        lastId += 1;
        return lastId;
      },
      isInUse: () => false,
      receive: (connection, frame) => {
        received.put({ listener: connection.listener, client: connection.client, frame: Buffer.from(frame) });
        connection.sendAnswer(frame);
      },
      hungUp: () => {},
      lost: () => {},
    });
    at = (await streams.listen(0, "tls", { address: "127.0.0.1", port: 0 })).at;
  }

  beforeEach(async () => {
    now = 1000;
    received = new Inbox();
    folder = newFolder();
    files = makeCertificate(folder, ["relay.example.org"]);
    certificates = await Certificates.open([files, makeCertificate(folder, ["other.example"], "other")]);
  });

  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await streams.close();
  });

  /** Rejects with what went wrong. */
  async function handshake(options: ConnectionOptions = {}): Promise<TLSSocket> {
    const client = tlsConnect({ host: at.address, port: at.port, rejectUnauthorized: false, ...options });
    sockets.push(client);
    await once(client, "secureConnect");
    return client;
  }

  async function halfOpen(from = "127.0.0.1"): Promise<Socket> {
    const client = connect({ host: at.address, port: at.port, localAddress: from });
    sockets.push(client);
    client.on("error", () => {}).resume();
    await once(client, "connect");
    client.write(helloStart);
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
      listener: { socket: 0, transport: "tls", at },
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

  test("shows a renewed certificate to who comes, and does not disturb who is there", async () => {
    await listen();
    const before = await handshake();
    makeCertificate(folder, ["renewed.example.org"]);
    await certificates.renew("changed");
    expect((await handshake()).getPeerCertificate().subject.CN).toBe("renewed.example.org");
    expect(await exchange(before)).toEqual(message);
    expect(streams.size).toBe(2);
  });

  test("is spoken by openssl", async () => {
    await listen();
    const port = `${at.address}:${at.port}`;
    const { output } = await run("openssl", ["s_client", "-connect", port, "-alpn", "stun.turn", "-tls1_3"]);
    expect(output).toContain("ALPN protocol: stun.turn");
    expect(output).toContain("TLSv1.3");
  });

  test("closes on who speaks something else", async () => {
    await listen();
    const client = connect({ host: at.address, port: at.port });
    sockets.push(client);
    client.on("error", () => {}).resume();
    client.write(message);
    await closeOf(client);
    expect(streams.size).toBe(0);
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
    const client = await halfOpen();
    const accepted = await handshake();
    await exchange(accepted);
    now += streamLimits.arrivalMillis - 1;
    streams.sweep(now);
    expect(client.closed).toBe(false);
    now += 1;
    streams.sweep(now);
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
    await until(() => streams.size === 0);
    expect(await exchange(await handshake())).toEqual(message);
  });

  test("does not let a handshake in when the connections became too many meanwhile", async () => {
    await listen({ connections: 1 });
    const late = connect({ host: at.address, port: at.port });
    sockets.push(late);
    await once(late, "connect");
    await handshake();
    await until(() => streams.size === 1);
    const refused = tlsConnect({ socket: late, rejectUnauthorized: false });
    refused.on("error", () => {}).resume();
    await closeOf(refused);
    expect(streams.size).toBe(1);
  });

  test("ends every handshake when it is closed", async () => {
    await listen();
    const client = await halfOpen();
    const closed = closeOf(client);
    await handshake();
    await streams.close();
    await closed;
  });

  test("serves on while 10,000 handshakes are begun and none is finished", { timeout: 60_000 }, async () => {
    await listen();
    let open = 0;
    for (let begun = 0; begun < 10_000; begun += 100) {
      const batch = Array.from({ length: 100 }, (_, i) => halfOpen(`127.0.1.${(begun + i) % 250}`));
      for (const client of await Promise.all(batch)) {
        open += 1;
        client.once("close", () => {
          open -= 1;
        });
      }
      if (begun % 1000 === 0) expect(await exchange(await handshake())).toEqual(message);
    }
    await until(() => open <= streamLimits.arrivals);
    now += streamLimits.arrivalMillis;
    streams.sweep(now);
    await until(() => open === 0);
    expect(streams.size).toBe(10);
  });
});
