// What issue 4 asks of the native plane: with the event loop blocked for five seconds, media goes on and nothing lives on.

import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test } from "vitest";
import { mintCredential } from "../../src/turn/credentials.ts";
import { Bench, type Subject } from "../conformance/bench.ts";
import { Client, type Credential } from "../conformance/client.ts";
import { connectTls } from "../conformance/connection.ts";
import { Peer } from "../conformance/peer.ts";
import { connected, crossing } from "../conformance/rfc6062.ts";
import { attribute, classOf, errorCodeOf, messageClass, xorAddresses } from "../conformance/wire.ts";
import { makeCertificate, newFolder } from "../dataplane/certificate-files.ts";
import { obstacleToNative } from "../dataplane/native-obstacle.ts";
import { needs } from "../interop/needs.ts";

const program = fileURLToPath(new URL("./blocked-relay.mjs", import.meta.url));
const secret = "wonderland";
const loopback = "127.0.0.1";
const channel = 0x4000;
/** Packets under way at a time. */
const batch = 8;
/** Two processes need not agree to the millisecond on what Unix time it is. */
const disagreementMillis = 100;

const open: { close(): unknown }[] = [];
let child: ChildProcess;
afterEach(async () => {
  for (const each of open.splice(0)) await each.close();
  if (child.exitCode === null) {
    child.disconnect();
    await once(child, "exit");
  }
});

type Door = "udp" | "tcp" | "tls";

async function startRelay(transport: Door | "any", further: object = {}): Promise<number> {
  const isSecure = transport === "tls" || transport === "any";
  const flags = {
    ...(isSecure && { tls: makeCertificate(newFolder(), ["relay.example.org"]) }),
    listen: [`${transport}://${loopback}:0`],
    "relay-tcp": true,
    user: { alice: secret },
    secret: [secret],
    loopback: true,
    "relay-address": loopback,
    dataplane: "native",
    metrics: "none",
    log: { level: "silent" },
    ...further,
  };
  child = fork(program, [JSON.stringify(flags)]);
  return Number((await once(child, "message"))[0]);
}

/** Has the relay's event loop stand still; `said` is what it says when it begins and ends to. */
function block(milliseconds = 5000): { readonly isFree: () => boolean; readonly said: readonly unknown[] } {
  const said: unknown[] = [];
  child.on("message", (word) => said.push(word));
  child.send(milliseconds);
  return { isFree: () => said.some((word) => word !== "blocked"), said };
}

function waysTo(door: Door): NonNullable<Subject["connect"]> {
  return door === "tls" ? { tcp: connectTls } : {};
}

interface Call {
  readonly client: Client;
  readonly peer: Peer;
  readonly relayed: { readonly address: string; readonly port: number };
}

/** An allocation with a channel to a peer, of a client that says `first` before anything else. */
async function call(door: Door, port: number, credential: Credential, first = ""): Promise<Call> {
  const peer = await Peer.open(loopback);
  const transport = door === "udp" ? door : "tcp";
  const client = await Client.open(transport, { address: loopback, port }, credential, new Set(), waysTo(door));
  open.push(peer, client.connection);
  if (first !== "") client.send(Buffer.from(first));
  const [relayed] = xorAddresses(await client.allocate(), attribute.xorRelayedAddress);
  expect(classOf(await client.bindChannel(channel, peer.at))).toBe(messageClass.success);
  if (!relayed) throw new Error("no relayed address");
  return { client, peer, relayed };
}

/** A batch to the peer and back again; it fails if one is lost. */
async function exchange({ client, peer, relayed }: Call, first: number): Promise<void> {
  const payloads = Array.from({ length: batch }, (_, i) => `packet ${first + i}`);
  for (const payload of payloads) client.sendOn(channel, payload);
  for (const payload of payloads) await peer.expect(payload);
  for (const payload of payloads) peer.send(relayed, payload);
  for (const payload of payloads) {
    const { channelData } = await client.next(payload, ({ channelData }) => channelData !== undefined);
    expect(channelData?.payload.toString()).toBe(payload);
  }
}

describe.runIf(obstacleToNative() === undefined)("with the event loop blocked for seconds", () => {
  const streams = needs("openssl") ? (["tcp", "tls"] as const) : (["tcp"] as const);
  const timeout = 40_000;
  test.each(["udp", ...streams] as const)(
    "media over %s goes on with no loss, and allocations end on time all the same",
    { timeout },
    async (transport) => {
      const port = await startRelay(transport);
      const steady = await call(transport, port, { username: "alice", password: secret });
      const endsAtSeconds = Math.floor(Date.now() / 1000) + 4;
      const ending = await call(transport, port, mintCredential(secret, "bob", endsAtSeconds));
      await Promise.all([exchange(steady, 0), exchange(ending, 0)]);

      const { isFree, said } = block();
      let packets = 0;
      let sentTooLate = 0;
      for (; !isFree(); packets += batch) {
        ending.client.sendOn(channel, `${Date.now()}`);
        if (Date.now() > endsAtSeconds * 1000 + disagreementMillis) sentTooLate += 1;
        await exchange(steady, packets);
      }
      expect(said).toEqual(["blocked", "free"]);
      expect(packets).toBeGreaterThan(100);
      expect(sentTooLate).toBeGreaterThan(0);

      const arrivals: number[] = [];
      ending.peer.send(ending.peer.at, "the end");
      for (let payload = ""; payload !== "the end"; ) {
        payload = (await ending.peer.next()).payload.toString();
        if (payload !== "the end") arrivals.push(Number(payload));
      }
      expect(arrivals.length).toBeGreaterThan(0);
      expect(Math.max(...arrivals)).toBeLessThan(endsAtSeconds * 1000 + disagreementMillis);
      expect(classOf(await steady.client.refresh())).toBe(messageClass.success);
      expect([401, 437]).toContain(errorCodeOf(await ending.client.refresh()));
    },
  );

  const header = "PROXY TCP4 198.51.100.7 192.0.2.1 35552 3478\r\n";
  test.runIf(needs("openssl")).each([
    ["a listener for any stream", "any", "", "tcp"],
    ["a listener for any stream, on TLS,", "any", "", "tls"],
    ["a listener behind a proxy", "tcp", header, "tcp"],
    ["a listener for any stream behind a proxy", "any", header, "tcp"],
  ] as const)("media of a client at %s goes on as well", { timeout }, async (_, listener, first, door) => {
    const port = await startRelay(listener, first !== "" ? { "proxy-protocol": { trusted: [loopback] } } : {});
    const steady = await call(door, port, { username: "alice", password: secret }, first);
    await exchange(steady, 0);
    const { isFree, said } = block(1000);
    let packets = 0;
    for (; !isFree(); packets += batch) await exchange(steady, packets);
    expect(said).toEqual(["blocked", "free"]);
    expect(packets).toBeGreaterThan(100);
  });

  test.each(streams)("what is joined with a client on %s goes on in both directions", { timeout }, async (door) => {
    const bench = new Bench({
      connect: waysTo(door),
      servers: [{ address: loopback, port: await startRelay(door) }],
      credentials: [{ username: "alice", password: secret }],
      peerAddresses: [loopback],
    });
    open.push(bench);
    const { near, far } = await connected(bench);
    await crossing(near, far, 1000);
    const { isFree, said } = block();
    let rounds = 0;
    for (; !isFree(); rounds += 1) await Promise.all([crossing(near, far, 200_000), crossing(far, near, 200_000)]);
    expect(said).toEqual(["blocked", "free"]);
    expect(rounds).toBeGreaterThan(20);
    near.end();
    await far.closed();
  });
});
