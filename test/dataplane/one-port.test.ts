// One port for plain streams, TLS, and the TLS of others: who gets which, and how foreign bytes are passed on.

import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect as connectTcp, createServer, type Server, type Socket } from "node:net";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { setImmediate } from "node:timers/promises";
import { type ConnectionOptions, connect as connectTls, createServer as createTlsServer } from "node:tls";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Endpoint, Transport } from "../../src/contract.ts";
import { type CertificateFiles, Certificates } from "../../src/dataplane/certificates.ts";
import type { Backend } from "../../src/dataplane/splices.ts";
import { type StreamLimits, Streams, streamLimits } from "../../src/dataplane/stream.ts";
import { encode } from "../../src/stun/message.ts";
import { Method } from "../../src/stun/methods.ts";
import { needs } from "../interop/needs.ts";
import { makeCertificate, newFolder } from "./certificate-files.ts";
import { closeOf, Inbox, until } from "./rig.ts";

const message = Buffer.from(
  encode({ class: "request", method: Method.binding, transactionId: Buffer.alloc(12), attributes: {} }),
);

describe.runIf(needs("openssl"))("one port for all", () => {
  let now = 1000;
  let streams: Streams;
  let at: Endpoint;
  let received: Inbox<{ readonly transport: Transport; readonly frame: Buffer }>;
  let folder: string;
  let foreign: CertificateFiles;
  const ends: { destroy(): void }[] = [];
  const servers: Server[] = [];

  async function listen(foreignTls?: Backend, limits: Partial<StreamLimits> = {}): Promise<void> {
    let lastId = 0;
    streams = new Streams({
      limits: { ...streamLimits, ...limits },
      certificates: await Certificates.open([makeCertificate(folder, ["relay.example.org"])]),
      foreignTls,
      now: () => now,
      newSocketId: () => {
        lastId += 1;
        return lastId;
      },
      isInUse: () => false,
      receive: ({ listener }, frame) => received.put({ transport: listener.transport, frame: Buffer.from(frame) }),
      hungUp: () => {},
      lost: () => {},
    });
    const listener = await streams.listen(0, "any", { address: "127.0.0.1", port: 0 });
    expect(listener.transport).toBe("tcp");
    at = listener.at;
  }

  beforeEach(() => {
    now = 1000;
    received = new Inbox();
    folder = newFolder();
    foreign = makeCertificate(folder, ["web.example.org"], "foreign");
  });

  afterEach(async () => {
    for (const end of ends.splice(0)) end.destroy();
    await streams.close();
    await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))));
  });

  function keep<End extends Socket>(end: End): End {
    ends.push(end);
    return end.on("error", () => {});
  }

  /** A server that sends back what it gets, as TLS or as it comes. */
  async function backend(serve: (socket: Socket) => void = (socket) => socket.pipe(socket), isTls = true) {
    const certified = { cert: readFileSync(foreign.certificate), key: readFileSync(foreign.key) };
    const server = isTls
      ? createTlsServer({ ...certified, ALPNProtocols: ["h2", "http/1.1"] }, serve).on("connection", keep)
      : createServer({ allowHalfOpen: true }, (socket) => serve(keep(socket)));
    servers.push(server.listen(0, "127.0.0.1"));
    await once(server, "listening");
    const address = server.address();
    return { host: "127.0.0.1", port: typeof address === "object" && address ? address.port : 0 };
  }

  async function tcp(): Promise<Socket> {
    const client = keep(connectTcp({ host: at.address, port: at.port, noDelay: true }));
    await once(client, "connect");
    return client;
  }

  async function tls(options: ConnectionOptions = {}) {
    const client = keep(connectTls({ host: at.address, port: at.port, rejectUnauthorized: false, ...options }));
    await once(client, "secureConnect");
    return client;
  }

  const shownTo = async (options: ConnectionOptions) => (await tls(options)).getPeerCertificate().subject.CN;

  test("takes plain streams", async () => {
    await listen();
    (await tcp()).write(message);
    expect(await received.next()).toEqual({ transport: "tcp", frame: message });
  });

  test("takes TLS, and calls it that", async () => {
    await listen();
    (await tls()).write(message);
    expect(await received.next()).toEqual({ transport: "tls", frame: message });
  });

  test.each(["\x04", "GET / HTTP/1.1", "\x40\x00", "\x15\x03", "\r\n", " ", "\x80\x00", "\xff"])(
    "closes on %j",
    async (bytes) => {
      await listen();
      const client = await tcp();
      client.resume().write(bytes, "latin1");
      await closeOf(client);
      expect(streams.size).toBe(0);
    },
  );

  test("gives who says nothing ten seconds", async () => {
    await listen();
    const silent = await tcp();
    silent.resume();
    (await tls()).write(message);
    await received.next();
    now += streamLimits.arrivalMillis;
    streams.sweep(now);
    await closeOf(silent);
    expect(streams.size).toBe(1);
  });

  test("refuses the TLS of others when there is nobody to take it", async () => {
    await listen();
    await expect(tls({ ALPNProtocols: ["h2"] })).rejects.toThrow(/no application protocol/);
    expect(await shownTo({ servername: "web.example.org" })).toBe("relay.example.org");
  });

  test("tells by application and name whose TLS it is", async () => {
    await listen(await backend());
    const [ours, theirs] = ["relay.example.org", "web.example.org"];
    expect(await shownTo({})).toBe(ours);
    expect(await shownTo({ servername: ours })).toBe(ours);
    expect(await shownTo({ servername: theirs, ALPNProtocols: ["stun.turn"] })).toBe(ours);
    expect(await shownTo({ ALPNProtocols: ["h2", "stun.nat-discovery"] })).toBe(ours);
    expect(await shownTo({ servername: theirs })).toBe(theirs);
    expect(await shownTo({ servername: ours, ALPNProtocols: ["h2"] })).toBe(theirs);
    expect(await shownTo({ ALPNProtocols: ["http/1.1"] })).toBe(theirs);
  });

  test("passes everything on, byte for byte", async () => {
    await listen(await backend());
    const client = await tls({ servername: "web.example.org" });
    const sent = Buffer.alloc(3_000_000, "to and fro ");
    client.end(sent);
    expect((await buffer(client)).equals(sent)).toBe(true);
  });

  test("passes a handshake on that comes byte by byte, and lets each direction end by itself", async () => {
    const gathered = new Inbox<Buffer>();
    const answer = (socket: Socket) => {
      const chunks: Buffer[] = [];
      socket.on("data", (chunk) => chunks.push(chunk));
      socket.once("end", () => {
        gathered.put(Buffer.concat(chunks));
        socket.end("the answer");
      });
    };
    await listen(await backend(answer, false));
    const hello = await helloFor("web.example.org");
    const client = await tcp();
    for (const byte of hello) await new Promise((resolve) => client.write(Buffer.of(byte), resolve));
    client.end("and more");
    expect(await gathered.next()).toEqual(Buffer.concat([hello, Buffer.from("and more")]));
    expect(`${await buffer(client)}`).toBe("the answer");
  });

  test("takes no more from a client than the slower end does", async () => {
    const taken = new Inbox<Socket>();
    await listen(await backend((socket) => taken.put(socket.pause()), false));
    const client = await tcp();
    const hello = await helloFor("web.example.org");
    client.write(hello);
    const slow = await taken.next();
    const chunk = Buffer.alloc(64 * 1024);
    const chunks = 1024;
    let given = 0;
    Readable.from(
      (function* () {
        for (; given < chunks; given += 1) yield chunk;
      })(),
    ).pipe(client);
    // The kernel's buffers fill up, and then nothing moves any more.
    for (let [turns, before] = [0, -1]; turns < 3000; turns = given === before ? turns + 1 : 0) {
      before = given;
      await setImmediate();
    }
    expect(given).toBeLessThan(chunks / 2);
    expect((await buffer(slow)).length).toBe(hello.length + chunks * chunk.length);
  });

  test("closes on a client whose backend goes away", async () => {
    await listen(await backend((socket) => socket.once("data", () => socket.resetAndDestroy()), false));
    const client = await tcp();
    client.resume().write(await helloFor("web.example.org"));
    await closeOf(client);
  });

  test("closes on a client whose backend is not there", async () => {
    await listen(await backend(undefined, false));
    await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))));
    const client = await tcp();
    client.resume().write(await helloFor("web.example.org"));
    await closeOf(client);
  });

  test("ends with the backend when the client goes away, though it had ended before", async () => {
    const taken = new Inbox<Socket>();
    await listen(await backend((socket) => socket.resume().once("end", () => taken.put(socket)), false));
    const client = await tcp();
    client.end(await helloFor("web.example.org"));
    const socket = await taken.next();
    await streams.close();
    // Who has read all that there is learns of it when he writes.
    await until(() => {
      if (!socket.destroyed) socket.write("too late");
      return socket.destroyed;
    });
  });

  test("ends what is passed on when it is silent for too long, and when it is closed", async () => {
    await listen(await backend());
    const client = await tls({ servername: "web.example.org" });
    const echoed = once(client, "data");
    client.write("hello");
    await echoed;
    streams.sweep(now);
    now += streamLimits.idleMillis - 1;
    streams.sweep(now);
    expect(client.closed).toBe(false);
    now += 1;
    streams.sweep(now);
    await closeOf(client.resume());

    const last = await tls({ servername: "web.example.org" });
    const closed = closeOf(last.resume());
    await streams.close();
    await closed;
  });

  test("passes on so many at once and no more", async () => {
    await listen(await backend(), { splices: 1 });
    const first = await tls({ servername: "web.example.org" });
    await expect(tls({ servername: "web.example.org" })).rejects.toThrow();
    first.destroy();
    await until(() => first.closed);
    expect(await shownTo({})).toBe("relay.example.org");
  });

  /** What a client begins with that asks for this name. */
  async function helloFor(servername: string): Promise<Buffer> {
    const hellos = new Inbox<Buffer>();
    const server = createServer((socket) => keep(socket).once("data", (chunk) => hellos.put(chunk)));
    await once(server.listen(0, "127.0.0.1"), "listening");
    servers.push(server);
    const address = server.address();
    const port = typeof address === "object" && address ? address.port : 0;
    keep(connectTls({ host: "127.0.0.1", port, servername }));
    return hellos.next();
  }
});
