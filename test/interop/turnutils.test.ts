// coturn's own client against Sluice. It exits 0 with everything lost, so its totals are what counts.

import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readConfig } from "../../src/config/config.ts";
import type { Transport } from "../../src/contract.ts";
import { type Relay, startRelay } from "../../src/relay.ts";
import { makeCertificate } from "../dataplane/certificate-files.ts";
import { obstacleToNative } from "../dataplane/native-obstacle.ts";
import { needs } from "./needs.ts";
import { type Outcome, run } from "./program.ts";
import { newFolder } from "./server-process.ts";

const messages = 50;
const clients = 2;
/** Much more than all answers that a client gets at once, so that these cannot be taken for a message. */
const messageBytes = 1000;

/** Those of turnutils_uclient, which takes them in turns, each without the line end that it has there. */
const uclientKeys = [
  { kid: "north", key: base64("01234567890123456789012345678901"), algorithm: "A256GCM" },
  { kid: "union", key: base64("1234567890123456"), algorithm: "A128GCM" },
  { kid: "oldempire", key: base64("12345678901234567890123456789012"), algorithm: "A256GCM" },
];

const hasPrograms = needs("coturn", "openssl");
const hasNative = obstacleToNative() === undefined;

let relay: Relay;
let echo: Socket;
let echo6: Socket;
let folder: string;

beforeAll(async () => {
  if (!hasPrograms) return;
  folder = newFolder("turnutils");
  const flags = {
    listen: [
      "udp://127.0.0.1:0",
      "tcp://127.0.0.1:0",
      "tls://127.0.0.1:0",
      ...(hasNative ? ["dtls://127.0.0.1:0"] : []),
    ],
    tls: makeCertificate(folder, ["relay.example.org"]),
    user: { alice: "wonderland" },
    secret: "rabbit",
    mobility: true,
    oauth: { "server-name": "relay.example.org", keys: uclientKeys },
    loopback: true,
    "relay-address": ["127.0.0.1", "::1"],
    "relay-tcp": true,
    metrics: "none",
    log: { level: "silent" },
  };
  relay = await startRelay(readConfig({ flags }));
  [echo, echo6] = await Promise.all([openEcho("udp4", "127.0.0.1"), openEcho("udp6", "::1")]);
});

afterAll(async () => {
  if (!hasPrograms) return;
  echo.close();
  echo6.close();
  await relay.stop();
  rmSync(folder, { recursive: true });
});

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}

async function openEcho(family: "udp4" | "udp6", address: string): Promise<Socket> {
  const socket = createSocket(family, (bytes, from) => socket.send(bytes, from.port, from.address));
  socket.bind(0, address);
  await once(socket, "listening");
  return socket;
}

interface Totals {
  readonly sent: number;
  readonly received: number;
}

/** Runs the client and says how many messages it sent and got back; undefined if it came to no end by itself. */
async function totals(
  transport: Transport,
  options: readonly string[],
  deadlineSeconds?: number,
): Promise<Totals | undefined> {
  const { output } = await uclient(transport, ["-n", `${messages}`, "-m", `${clients}`, ...options], deadlineSeconds);
  if (!output.includes("Total transmit time")) return undefined;
  const last = [...output.matchAll(/tot_send_msgs=(\d+), tot_recv_msgs=(\d+)/g)].at(-1);
  const [sent, received] = [Number(last?.[1]), Number(last?.[2])];
  return { sent, received: transport === "tls" ? messagesInRecords(output) : received };
}

/** Over TLS it counts every record as one message, however many there are in it, but tells how long each was. */
function messagesInRecords(output: string): number {
  const lengths = [...output.matchAll(/response received: size=(\d+)/g)].map(([, bytes]) => Number(bytes));
  return lengths.reduce((messages, bytes) => messages + Math.floor(bytes / messageBytes), 0);
}

function uclient(transport: Transport, options: readonly string[], deadlineSeconds?: number): Promise<Outcome> {
  const listener = relay.listeners.find((each) => each.transport === transport);
  const peer = options.includes("-x") ? echo6.address() : echo.address();
  const where = ["-e", peer.address, "-r", `${peer.port}`, "-p", `${listener?.at.port}`];
  const how = { udp: ["-c"], tcp: ["-c", "-t"], tls: ["-c", "-t", "-S", "-v"], dtls: ["-c", "-S"] }[transport];
  return run(
    "turnutils_uclient",
    ["-l", `${messageBytes}`, ...how, ...where, ...options, "127.0.0.1"],
    deadlineSeconds,
  );
}

const alice = ["-u", "alice", "-w", "wonderland"];
const all = { sent: messages * clients, received: messages * clients };

describe.runIf(hasPrograms)("turnutils_uclient loses nothing", { concurrent: true, timeout: 60_000 }, () => {
  test.for([
    ["over UDP, through channels", "udp", alice],
    ["over UDP, in indications", "udp", [...alice, "-s"]],
    ["over TCP, through channels", "tcp", alice],
    ["over TCP, in indications", "tcp", [...alice, "-s"]],
    ["over TLS, through channels", "tls", alice],
    ["over TLS, in indications", "tls", [...alice, "-s"]],
    ["between two clients, over TLS", "tls", [...alice, "-y"]],
    ["with credentials from a shared secret, over UDP", "udp", ["-u", "joe", "-W", "rabbit"]],
    ["with credentials from a shared secret, over TCP", "tcp", ["-u", "joe", "-W", "rabbit"]],
    ["between two clients, over UDP", "udp", [...alice, "-y"]],
    ["between two clients, over UDP, in indications", "udp", [...alice, "-y", "-s"]],
    ["between two clients, over TCP", "tcp", [...alice, "-y"]],
    ["with an IPv6 relayed address, through channels", "udp", [...alice, "-x"]],
    ["with an IPv6 relayed address, in indications", "udp", [...alice, "-x", "-s"]],
    ["with an IPv6 relayed address, over TCP", "tcp", [...alice, "-x"]],
    ["with a relayed address of each family", "udp", [...alice, "-Z"]],
    ["with a relayed address of each family, over TCP", "tcp", [...alice, "-Z"]],
    ["when it asks more than it has to", "udp", [...alice, "-G"]],
    ["when it hangs up now and then", "udp", [...alice, "-B"]],
    ["when it pads ChannelData", "udp", [...alice, "-D"]],
    ["with tokens, over UDP", "udp", ["-J"]],
    ["with tokens, over UDP, in indications", "udp", ["-J", "-s"]],
    ["with tokens, over TCP", "tcp", ["-J"]],
    ["with tokens, over TLS", "tls", ["-J"]],
    ["when it takes its allocation along, over UDP", "udp", [...alice, "-M"]],
    ["when it takes its allocation along, over UDP, in indications", "udp", [...alice, "-M", "-s"]],
    ["when it takes its allocation along, over TCP", "tcp", [...alice, "-M"]],
    ["when it takes its allocation along, over TLS", "tls", [...alice, "-M"]],
    ["when it takes a relayed address of each family along", "udp", [...alice, "-M", "-Z"]],
  ] as const)("%s", async ([, transport, options]) => {
    expect(await totals(transport, options)).toEqual(all);
  });

  // The client counts a stream by its bytes. With -P the half of its ends that are peers count nothing of what they get,
  // and so it is with coturn's own server.
  test.for([
    ["over TCP", "tcp", ["-T"], 1],
    ["over TCP, all said", "tcp", ["-y", "-T", "-t"], 1],
    ["over TLS", "tls", ["-T"], 1],
    ["over TCP, with peers that connect to it", "tcp", ["-T", "-P"], 0.5],
  ] as const)("of streams between relayed TCP addresses, %s", async ([, transport, options, share]) => {
    const { output } = await uclient(transport, ["-n", `${messages}`, "-m", `${clients}`, ...alice, ...options]);
    const totals = [...output.matchAll(/tot_send_bytes ~ (\d+), tot_recv_bytes ~ (\d+)/g)].at(-1)?.slice(1).map(Number);
    const sent = messages * clients * messageBytes;
    expect(totals).toEqual([sent, sent * share]);
  });

  test.runIf(hasNative).for([
    ["without fragments, through channels", "udp", [...alice, "-g"]],
    ["without fragments, in indications", "udp", [...alice, "-g", "-s"]],
    ["without fragments, in indications over DTLS", "dtls", [...alice, "-g", "-s"]],
  ] as const)("%s", async ([, transport, options]) => {
    expect(await totals(transport, options)).toEqual(all);
  });

  test.runIf(hasNative).for([
    ["over DTLS, through channels", alice],
    ["over DTLS, in indications", [...alice, "-s"]],
    ["between two clients, over DTLS", [...alice, "-y"]],
    ["between two clients, over DTLS, in indications", [...alice, "-y", "-s"]],
    ["with an IPv6 relayed address, over DTLS", [...alice, "-x"]],
    ["with a relayed address of each family, over DTLS", [...alice, "-Z"]],
  ] as const)("%s", async ([, options]) => {
    expect(await totals("dtls", options)).toEqual(all);
  });

  test("except when it binds a peer to two channels on purpose, and gives up when that is refused", async () => {
    const { output } = await uclient("udp", ["-n", "1", "-N", ...alice]);
    expect(output).toContain("channel bind: error 400 (Bad Request)");
    expect(output).not.toMatch(/tot_recv_msgs=[1-9]/);
  });

  // It garbles requests at random and often gives up when it is refused, as it does with any server: what is to be seen
  // is that nobody else suffers.
  test("for others, while some break the protocol", async () => {
    const garbling = [1, 2, 3, 4].map(() => totals("udp", [...alice, "-R"], 10));
    expect(await totals("udp", alice)).toEqual(all);
    for (const outcome of await Promise.all(garbling)) expect(outcome?.received).toBe(outcome?.sent);
    expect(await totals("udp", alice)).toEqual(all);
  });

  test("except with a wrong password, which gets nothing through", async () => {
    const { output } = await uclient("udp", ["-n", "1", "-u", "alice", "-w", "wrong"]);
    expect(output).not.toMatch(/tot_recv_msgs=[1-9]/);
  });
});
