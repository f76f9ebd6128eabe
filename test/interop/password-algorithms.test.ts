// libjuice, through node-datachannel, is offered password algorithms on the wire. It has code to choose one, but up to
// 1.7.2 it reads the list in requests only, and the feature bits from the wrong end: so it stays with RFC 5389, which has
// to work beside the offer.

import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readConfig } from "../../src/config/config.ts";
import { type Relay, startRelay } from "../../src/relay.ts";
import { decode, type Message } from "../../src/stun/message.ts";
import { Method } from "../../src/stun/methods.ts";
import { run } from "./program.ts";

const program = fileURLToPath(new URL("./webrtc-file.mjs", import.meta.url));

let relay: Relay;
let tap: Tap;

beforeAll(async () => {
  const flags = {
    listen: ["udp://127.0.0.1:0"],
    user: { alice: "wonderland" },
    loopback: true,
    "relay-address": "127.0.0.1",
    metrics: "none",
    log: { level: "silent" },
  };
  relay = await startRelay(readConfig({ flags }));
  tap = await openTap(relay.listeners[0]?.at.port ?? 0);
});

afterAll(async () => {
  tap.close();
  await relay.stop();
});

test("libjuice takes no harm from an offer that it does not understand, and has its data relayed", async () => {
  const { output, exitCode } = await run(process.execPath, [
    program,
    JSON.stringify({ hostname: "127.0.0.1", port: tap.port, username: "alice", password: "wonderland" }),
    "1",
  ]);
  expect(exitCode, output).toBe(0);
  expect(JSON.parse(output)).toMatchObject({ isWhole: true, bytes: 1024 * 1024 });

  const authentic = tap.requests.filter(({ attributes }) => attributes.nonce !== undefined);
  const methods = authentic.map(({ method }) => method);
  for (const method of [Method.allocate, Method.createPermission]) expect(methods).toContain(method);
  for (const { attributes } of authentic) {
    expect(attributes).toMatchObject({ username: "alice", nonce: expect.stringMatching(/^obMatJos2wAAA/) });
    expect(attributes.passwordAlgorithm).toBeUndefined();
    expect(attributes.messageIntegrity).toHaveLength(20);
  }
});

interface Tap {
  readonly port: number;
  /** STUN requests of every client, in order. */
  readonly requests: readonly Message[];
  close(): void;
}

/** Stands before a UDP port of 127.0.0.1, passes everything on, and listens in. */
async function openTap(behind: number): Promise<Tap> {
  const front = createSocket("udp4").bind(0, "127.0.0.1");
  await once(front, "listening");
  const backs = new Map<string, Socket>();
  const requests: Message[] = [];

  function backFor({ address, port }: RemoteInfo): Socket {
    const key = `${address} ${port}`;
    const back = backs.get(key) ?? createSocket("udp4", (bytes) => front.send(bytes, port, address));
    backs.set(key, back);
    return back;
  }

  front.on("message", (bytes, from) => {
    const message = decode(Buffer.from(bytes));
    if (message?.class === "request") requests.push(message);
    backFor(from).send(bytes, behind, "127.0.0.1");
  });
  return {
    port: front.address().port,
    requests,
    close() {
      for (const socket of [front, ...backs.values()]) socket.close();
    },
  };
}
