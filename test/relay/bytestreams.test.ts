// The SOCKS5 proxy as raw clients meet it, on a listener of its own and on the one port for all.

import { createHash } from "node:crypto";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { openLog } from "../../src/admin/log.ts";
import { readConfig } from "../../src/config/config.ts";
import { type Media, openMedia } from "../../src/relay/media.ts";
import { makeCertificate } from "../dataplane/certificate-files.ts";
import { closeOf, until } from "../dataplane/rig.ts";
import { needs } from "../interop/needs.ts";
import { newFolder } from "../interop/server-process.ts";

const bytesPerDay = 1_000_000;
const greeting = Buffer.from([5, 1, 0]);
const request = (hash: string) => Buffer.from(`\x05\x01\x00\x03\x28${hash}\x00\x00`, "latin1");

describe.runIf(needs("openssl"))("the proxy of bytestreams", () => {
  let folder: string;
  let media: Media;
  const sockets: Socket[] = [];

  beforeAll(async () => {
    folder = newFolder("bytestreams");
    const quota = { "bytes-per-day-per-user": bytesPerDay };
    const flags = {
      listen: ["any://127.0.0.1:0"],
      tls: makeCertificate(folder, ["relay.example.org"]),
      secret: "a shared secret",
      loopback: true,
      "relay-address": "127.0.0.1",
      metrics: "none",
      log: { level: "silent" },
      xmpp: { domain: "relay.example.org", secret: "s", proxy65: { listen: ["socks5://127.0.0.1:0"], quota } },
    };
    const config = readConfig({ flags, env: {} });
    const log = openLog(config.log);
    media = await openMedia(config, [{ bind: "127.0.0.1" }], { most: 0, log }, () => {});
  });

  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await vi.waitFor(() => expect(media.plane.counters().connections).toBe(0));
  });

  afterAll(async () => {
    await media?.stop();
    if (folder) rmSync(folder, { recursive: true });
  });

  const ports = () => media.bytestreams?.hosts().map(({ port }) => port) ?? [];

  async function client(port = ports()[0] ?? 0) {
    const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
    sockets.push(socket);
    await once(socket, "connect");
    let got = Buffer.alloc(0);
    const state = { hasEnded: false };
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      got = Buffer.concat([got, chunk]);
    });
    socket.on("end", () => {
      state.hasEnded = true;
    });
    const take = async (bytes: number) => {
      await until(() => got.length >= bytes || state.hasEnded);
      const taken = got.subarray(0, bytes);
      got = got.subarray(bytes);
      return taken;
    };
    return { socket, take, state, closed: closeOf(socket) };
  }

  async function waiting(hash: string, port?: number) {
    const one = await client(port);
    for (const byte of greeting) one.socket.write(Buffer.of(byte));
    expect([...(await one.take(2))]).toEqual([5, 0]);
    one.socket.write(request(hash));
    const reply = await one.take(47);
    expect(reply).toEqual(Buffer.concat([Buffer.from([5, 0]), request(hash).subarray(2)]));
    return one;
  }

  const hashOf = (text: string) => createHash("sha1").update(text).digest("hex");
  const activate = (hash: string, user = "alice") => media.bytestreams?.activate(Date.now(), hash, user);

  test("is at a port of its own, and at the one for all", () => {
    expect(ports()).toHaveLength(2);
    expect(media.bytestreams?.hosts().map(({ host }) => host)).toEqual(["127.0.0.1", "127.0.0.1"]);
  });

  test("carries bytes both ways once it is told, and none that were sent before", async () => {
    const hash = hashOf("one");
    const [one, other] = [await waiting(hash, ports()[0]), await waiting(hash, ports()[1])];
    one.socket.write("too early");
    await until(() => one.socket.writableLength === 0);
    // The proxy answers others after it has read that.
    await waiting(hashOf("another"), ports()[0]);
    expect(activate(hash)).toBeUndefined();
    one.socket.write("in time");
    expect((await other.take(7)).toString()).toBe("in time");
    other.socket.end("and back");
    expect((await one.take(8)).toString()).toBe("and back");
    await until(() => one.state.hasEnded);
    one.socket.write("still");
    expect((await other.take(5)).toString()).toBe("still");
  });

  test("ends both when one breaks off", async () => {
    const hash = hashOf("two");
    const [one, other] = [await waiting(hash), await waiting(hash)];
    activate(hash);
    one.socket.resetAndDestroy();
    await other.closed;
    expect(activate(hash)).toBe("nobody-waits");
  });

  test("breaks off in the middle of a file for who has had his bytes of the day, and counts them", async () => {
    const hash = hashOf("much");
    const [one, other] = [await waiting(hash), await waiting(hash)];
    activate(hash, "carol");
    const before = media.bytestreams?.load().bytes ?? 0;
    one.socket.write(Buffer.alloc(bytesPerDay));
    await other.take(bytesPerDay);
    await Promise.all([one.closed, other.closed]);
    expect([one.state.hasEnded, other.state.hasEnded]).toEqual([false, false]);
    const after = { open: 0, waiting: 0, bytes: before + bytesPerDay };
    await vi.waitFor(() => expect(media.bytestreams?.load()).toEqual(after));
    await waiting(hash);
    await waiting(hash);
    expect(activate(hash, "carol")).toBe("too-much");
  });

  test("is closed to who comes from a banned network, and ends what he has", async () => {
    const hash = hashOf("banned");
    const [one, other] = [await waiting(hash), await waiting(hash)];
    activate(hash);
    const whom = { network: "127.0.0.0/30" };
    media.operator.order({ order: "ban", whom, until: Date.now() + 3_600_000 });
    await Promise.all([one.closed, other.closed]);
    const late = await client();
    late.socket.write(greeting);
    expect([...(await late.take(2))]).toEqual([5, 0xff]);
    media.operator.order({ order: "lift", whom });
  });

  test("forgets who goes before", async () => {
    const hash = hashOf("three");
    const [one] = [await waiting(hash), await waiting(hash)];
    one.socket.resetAndDestroy();
    await vi.waitFor(() => expect(media.plane.counters().connections).toBe(1));
    expect(activate(hash)).toBe("one-waits");
  });

  test.each([
    ["SOCKS4", Buffer.from([4, 1, 0, 80, 127, 0, 0, 1, 0]), []],
    ["no way to come in that we have", Buffer.from([5, 1, 2]), [5, 0xff]],
    ["an address", Buffer.concat([greeting, Buffer.from([5, 1, 0, 1, 127, 0, 0, 1, 0, 80])]), [5, 0, 5, 8, 0, 1]],
    ["a host", Buffer.concat([greeting, Buffer.from("\x05\x01\x00\x03\x09localhost\x00\x50", "latin1")]), [5, 0, 5, 2]],
    ["BIND", Buffer.concat([greeting, Buffer.from([5, 2, 0, 3, 1, 97, 0, 0])]), [5, 0, 5, 7]],
    ["nonsense behind the greeting", Buffer.concat([greeting, Buffer.from("GET / HTTP/1.1")]), [5, 0]],
  ])("hangs up on %s", async (_, bytes, answer) => {
    const one = await client();
    one.socket.write(bytes);
    expect([...(await one.take(answer.length))]).toEqual(answer);
    await until(() => one.state.hasEnded || one.socket.destroyed);
  });
});
