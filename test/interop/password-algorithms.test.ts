// Password algorithms on the wire (RFC 8489 section 9.2). libjuice, through node-datachannel, has code to choose one, but up
// to 1.7.2 it reads the list in requests only, and the feature bits from the wrong end: so it stays with RFC 5389, which has
// to work beside the offer. No other TURN client within reach has any of it, so one is made of the `stun` package's codec.

import { createHash } from "node:crypto";
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import * as independent from "stun";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
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

const allocate = 0x003;
const attribute = {
  realm: 0x0014,
  nonce: 0x0015,
  requestedTransport: 0x0019,
  passwordAlgorithm: 0x001d,
  userhash: 0x001e,
  passwordAlgorithms: 0x8002,
  software: 0x8022,
} as const;
const sha256 = 2;
/** The protocol number of UDP, where the attribute has it. */
const udp = 17 * 2 ** 24;

test("a client made of another's codec hides its name, chooses SHA-256, and can check the answer", async () => {
  const socket = createSocket("udp4").bind(0, "127.0.0.1");
  onTestFinished(() => void socket.close());
  await once(socket, "listening");
  const ask = async (message: independent.IndependentMessage) => {
    const answered = once(socket, "message");
    socket.send(independent.encode(message), tap.port, "127.0.0.1");
    return independent.decode((await answered)[0]);
  };

  const bare = independent.createMessage(allocate);
  bare.addAttribute(attribute.requestedTransport, udp);
  bare.addAttribute(attribute.software, "a client that has room for the whole of the challenge");
  const challenge = await ask(bare);
  const [realm, nonce, offer] = [attribute.realm, attribute.nonce, attribute.passwordAlgorithms].map(
    (type) => challenge.getAttribute(type)?.value,
  );
  expect(offer).toMatchObject([{ algorithm: sha256 }, { algorithm: 1 }]);

  const hashOf = (text: string) => createHash("sha256").update(text).digest();
  const key = hashOf(`alice:${realm}:wonderland`);
  const request = independent.createMessage(allocate);
  request.addAttribute(attribute.requestedTransport, udp);
  request.addAttribute(attribute.userhash, hashOf(`alice:${realm}`));
  request.addAttribute(attribute.realm, realm);
  request.addAttribute(attribute.nonce, nonce);
  request.addAttribute(attribute.passwordAlgorithms, offer);
  request.addAttribute(attribute.passwordAlgorithm, sha256);
  request.addMessageIntegritySha256(key);
  const answer = await ask(request);
  expect(answer.type).toBe(allocate | 0x100);
  expect(independent.validateMessageIntegritySha256(answer, key)).toBe(true);
  expect(tap.requests.at(-1)?.attributes).toMatchObject({ passwordAlgorithm: { algorithm: sha256 } });
  expect(tap.requests.at(-1)?.attributes.username).toBeUndefined();
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
