// D7 once more: TLS handshakes that want nothing but a signature, for which a thread of the native plane stops forwarding
// while it makes one.

import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { connect as connectSecurely } from "node:tls";
import { describe, expect, onTestFinished, test } from "vitest";
import { newFolder } from "../cli/sluice-process.ts";
import { Bench } from "../conformance/bench.ts";
import { connectTls } from "../conformance/connection.ts";
import * as wire from "../conformance/wire.ts";
import { makeCertificate } from "../dataplane/certificate-files.ts";
import { obstacleToNative } from "../dataplane/native-obstacle.ts";
import { needs } from "../interop/needs.ts";
import { freePorts } from "../interop/server-process.ts";
import { startRelayProcess } from "./relay-process.ts";
import { alice } from "./victim.ts";

const channel = 0x4000;
const words = 200;
const attackers = 50;

/** As clients say it, to be said again and again. */
async function clientHello(): Promise<Buffer> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = connectSecurely({ host: "127.0.0.1", port: (server.address() as AddressInfo).port });
  client.on("error", () => {});
  const [socket] = await once(server, "connection");
  const [hello] = await once(socket, "data");
  client.destroy();
  server.close();
  return hello;
}

describe.runIf(obstacleToNative() === undefined && needs("openssl"))("D7, by handshakes", () => {
  test.each(["udp", "tls"] as const)(
    "a call over %s loses nothing while threads are asked for signatures as fast as can be",
    { timeout: 60_000 },
    async (kind) => {
      const transport = kind === "udp" ? kind : "tcp";
      const [port = 0] = await freePorts(1);
      const server = { address: "127.0.0.1", port };
      const { certificate, key } = makeCertificate(newFolder(), ["localhost"]);
      const listen = [`udp://127.0.0.1:${port}`, `tls://127.0.0.1:${port}`];
      await startRelayProcess("native", { keys: { listen, tls: { certificate, key } } });
      const connecting = { tcp: connectTls };
      const subject = { servers: [server], credentials: [alice], peerAddresses: ["127.0.0.2"], connect: connecting };
      const bench = new Bench(subject);
      onTestFinished(() => bench.close());
      const [{ client, relayed }, peer] = [await bench.allocation({ transport }), await bench.peer()];
      expect(wire.errorCodeOf(await client.bindChannel(channel, peer.at))).toBe(0);

      const hello = await clientHello();
      let isOver = false;
      let signatures = 0;
      const attack = async (localAddress: string) => {
        while (!isOver) {
          const socket = connect({ host: server.address, port, localAddress }, () => socket.write(hello));
          socket.on("error", () => {});
          socket.once("data", () => {
            signatures += 1;
            socket.destroy();
          });
          await once(socket, "close");
        }
      };
      const attacks = Array.from({ length: attackers }, (_, i) => attack(`127.0.${20 + i}.1`));
      onTestFinished(async () => {
        isOver = true;
        await Promise.all(attacks);
      });

      for (let word = 0; word < words; word += 1) {
        client.sendOn(channel, `${word}`);
        await peer.expect(`${word}`);
        peer.send(relayed, `${word}`);
        const echo = await client.next("the echo", ({ channelData }) => channelData !== undefined);
        expect(echo.channelData?.payload.toString()).toBe(`${word}`);
      }
      expect(signatures).toBeGreaterThan(words);
    },
  );
});
