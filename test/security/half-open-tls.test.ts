// D4: handshakes that are begun and never finished, against the program as it is run, by its own clock.

import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { newFolder, startSluice } from "../cli/sluice-process.ts";
import * as wire from "../conformance/wire.ts";
import { makeCertificate } from "../dataplane/certificate-files.ts";
import { needs } from "../interop/needs.ts";
import { freePorts } from "../interop/server-process.ts";

const handshakes = 10_000;
const batch = 500;
/** What a ClientHello begins with. Nothing follows it. */
const helloStart = Buffer.from("1603010200010001fc0303", "hex");
/** No address may have too many connections. */
const attackers = Array.from({ length: 100 }, (_, i) => `127.0.2.${i + 1}`);

describe.runIf(needs("openssl"))("D4", { timeout: 120_000 }, () => {
  test(`${handshakes} half-open TLS handshakes are all closed, and new clients are served meanwhile`, async () => {
    const port = await startTlsRelay();
    const open = new Set<Socket>();
    onTestFinished(() => {
      for (const socket of open) socket.destroy();
    });

    async function beginHandshake(localAddress: string): Promise<void> {
      const socket = connect({ host: "127.0.0.1", port, localAddress });
      open.add(socket);
      socket.once("close", () => open.delete(socket));
      socket.on("error", () => {}).resume();
      await once(socket, "connect");
      socket.write(helloStart);
    }

    for (let begun = 0; begun < handshakes; begun += batch) {
      await Promise.all(Array.from({ length: batch }, (_, i) => beginHandshake(attackers[i % attackers.length] ?? "")));
      expect(await ask(port)).toBe(true);
    }
    // The last ones hold their places for as long as they may.
    expect(open.size).toBeGreaterThan(0);
    await vi.waitFor(() => expect(open.size).toBe(0), { timeout: 30_000, interval: 100 });
    expect(await ask(port)).toBe(true);
  });
});

/** Resolves with its port. */
async function startTlsRelay(): Promise<number> {
  const folder = newFolder();
  const [port = 0] = await freePorts(1);
  const { certificate, key } = makeCertificate(folder, ["localhost"]);
  const file = join(folder, "sluice.json");
  writeFileSync(
    file,
    JSON.stringify({
      listen: [`tls://127.0.0.1:${port}`],
      tls: { certificate, key },
      secret: "rabbit",
      loopback: true,
      metrics: "none",
    }),
  );
  await startSluice(["serve", "--config", file]).printed(/listening/);
  return port;
}

/** A client who does as it should. */
async function ask(port: number): Promise<boolean> {
  const client = connectTls({ host: "127.0.0.1", port, rejectUnauthorized: false });
  await once(client, "secureConnect");
  client.write(wire.message(wire.method.binding));
  const [answer] = await once(client, "data");
  client.destroy();
  const message = wire.read(answer);
  return message !== undefined && wire.classOf(message) === wire.messageClass.success;
}
