// The whole relay in one process: what the parts say when they are put together, and what the log keeps to itself.

import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { connect } from "node:net";
import { networkInterfaces } from "node:os";
import { beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { openLog } from "../src/admin/log.ts";
import { type Config, readConfig } from "../src/config/config.ts";
import { type Endpoint, Unavailable } from "../src/contract.ts";
import { type Relay, startRelay } from "../src/relay.ts";
import { writeChannelData } from "../src/stun/channel-data.ts";
import { decode, encode } from "../src/stun/message.ts";
import { Method } from "../src/stun/methods.ts";
import { mintCredential } from "../src/turn/credentials.ts";
import { TurnClient } from "./cli/turn-client.ts";

const channel = 0x4000;
const secret = "rabbit-hole-secret";
const person = "alice-liddell";
const clientAddress = "127.0.0.2";
const peerAddress = "127.0.0.3";

const flags = {
  listen: ["udp://127.0.0.1:0", "tcp://127.0.0.1:0"],
  secret,
  loopback: true,
  "relay-address": "127.0.0.1",
  metrics: "http://127.0.0.1:0",
};

const bindingRequest = {
  class: "request",
  method: Method.binding,
  transactionId: new Uint8Array(12),
  attributes: {},
} as const;

let lines: string[];

beforeEach(() => {
  lines = [];
});

function config(more: Record<string, unknown> = {}): Config {
  return readConfig({ flags: { ...flags, ...more }, env: {} });
}

async function start(given: Config = config(), mayMovePorts = false): Promise<Relay> {
  const sink = { write: (line: string) => void lines.push(line) };
  const relay = await startRelay(given, { log: openLog(given.log, sink), mayMovePorts });
  onTestFinished(() => relay.stop());
  return relay;
}

function doorOf(relay: Relay, transport: "udp" | "tcp" = "udp"): Endpoint {
  return relay.listeners.find((listener) => listener.transport === transport)?.at ?? { address: "", port: 0 };
}

async function clientOf(relay: Relay, password?: string): Promise<TurnClient> {
  const minted = mintCredential(secret, person, Math.floor(Date.now() / 1000) + 600);
  const who = { ...minted, ...(password === undefined ? {} : { password }) };
  const client = await TurnClient.open(doorOf(relay), who, clientAddress);
  onTestFinished(() => client.close());
  return client;
}

async function openPeer(): Promise<Socket> {
  const peer = createSocket("udp4").bind(0, peerAddress);
  onTestFinished(() => void peer.close());
  await once(peer, "listening");
  return peer;
}

async function ask(relay: Relay, path: string): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${relay.metrics?.port}${path}`);
  return response.text();
}

/** From Allocate to Refresh with lifetime 0, with one packet each way. */
async function wholeCycle(relay: Relay): Promise<void> {
  const [client, peer] = [await clientOf(relay), await openPeer()];
  peer.on("message", (bytes, from) => peer.send(bytes, from.port, from.address));
  expect(await client.allocate()).toMatchObject({ class: "success" });
  const at = { address: peerAddress, port: peer.address().port };
  expect(await client.ask("createPermission", { xorPeerAddress: [at] })).toMatchObject({ class: "success" });
  const bound = await client.ask("channelBind", { channelNumber: channel, xorPeerAddress: [at] });
  expect(bound).toMatchObject({ class: "success" });
  const data = writeChannelData(channel, Buffer.from("to and fro, even"));
  const echoed = client.receive();
  client.send(data);
  expect(await echoed).toEqual(Buffer.from(data));
  expect(await client.ask("refresh", { lifetime: 0 })).toMatchObject({ class: "success" });
}

describe("a relay", () => {
  test("relays for who has credentials, and shows it in its metrics", async () => {
    const relay = await start();
    await wholeCycle(relay);
    const metrics = await ask(relay, "/metrics");
    expect(metrics).toContain('sluice_relayed_bytes_total{transport="udp",family="ipv4",direction="to-peer"} 16\n');
    expect(metrics).toContain('sluice_relayed_bytes_total{transport="udp",family="ipv4",direction="to-client"} 16\n');
    expect(metrics).toContain('sluice_answers_total{method="Allocate",code="401",transport="udp"} 1\n');
    expect(metrics).toContain('sluice_allocations_closed_total{reason="deleted"} 1\n');
    expect(metrics).toContain("sluice_allocations 0\n");
    expect(metrics).toMatch(/sluice_build_info\{version="\d.*",dataplane="(native|portable)"\} 1\n/);
  });

  test("says at its side door that it is ready", async () => {
    const relay = await start();
    expect(await ask(relay, "/readyz")).toBe("ready\nlisteners 2\ncomponent none\n");
  });

  test("opens no side door when it is told none", async () => {
    expect((await start(config({ metrics: "none" }))).metrics).toBeUndefined();
  });

  test("lets nobody in when there are neither users nor secrets", async () => {
    const relay = await start(config({ secret: [] }));
    const client = await clientOf(relay);
    expect(await client.allocate()).toMatchObject({ attributes: { errorCode: { code: 401 } } });
    expect(lines.join("")).toContain("nobody gets an allocation");
  });

  test("without relaying answers STUN only, needs no secret, and says so", async () => {
    const relay = await start(config({ secret: [], relay: false }));
    const client = await clientOf(relay);
    client.send(encode({ ...bindingRequest, method: Method.allocate, attributes: { requestedTransport: 17 } }));
    const answer = client.receive();
    client.send(encode(bindingRequest));
    expect(decode(await answer)).toMatchObject({ class: "success", method: Method.binding });
    expect(lines.join("")).toContain("answering STUN only");
    expect(lines.join("")).not.toContain("nobody gets an allocation");
  });

  test.each(["portable", "auto"])("with the %s dataplane gives no answer to who may not come in", async (dataplane) => {
    const clients = { allow: ["127.0.0.0/29"], deny: [`${clientAddress}/32`] };
    const relay = await start(config({ clients, dataplane }));
    const stranger = await clientOf(relay);
    const friend = await TurnClient.open(doorOf(relay), { username: "", password: "" }, peerAddress);
    onTestFinished(() => friend.close());
    const unheard = vi.fn();
    void stranger.receive().then(unheard, () => {});
    stranger.send(encode(bindingRequest));
    await vi.waitFor(() => expect(relay.counters().dropped["forbidden-client"]).toBe(1));
    const answer = friend.receive();
    friend.send(encode(bindingRequest));
    expect(decode(await answer)).toMatchObject({ class: "success" });
    expect(unheard).not.toHaveBeenCalled();

    const door = doorOf(relay, "tcp");
    const socket = connect({ host: door.address, port: door.port, localAddress: clientAddress });
    socket.on("error", () => {});
    await new Promise((resolve) => socket.once("close", resolve));
    expect(relay.counters().connections).toBe(0);
  });

  test("answers a network without credentials within its budget", async () => {
    const budget = { "replies-per-second": 1, burst: 2 };
    const relay = await start(config({ "reply-budget": budget, dataplane: "portable" }));
    const client = await clientOf(relay);
    const answer = client.receive();
    for (let request = 0; request < 20; request += 1) client.send(encode(bindingRequest));
    expect(decode(await answer)).toMatchObject({ class: "success" });
    const counted = /^sluice_unanswered_requests_total\{method="Binding"\} [1-9]/m;
    await vi.waitFor(async () => expect(await ask(relay, "/metrics")).toMatch(counted));
  });

  test("relays no more than the configured rate", async () => {
    const relay = await start(config({ rate: { "in-total": { "packets-per-second": 1 } } }));
    await wholeCycle(relay);
    expect(relay.counters().dropped.limited).toBe(0);
    const [client, peer] = [await clientOf(relay), await openPeer()];
    await client.allocate();
    const at = { address: peerAddress, port: peer.address().port };
    await client.ask("channelBind", { channelNumber: channel, xorPeerAddress: [at] });
    for (let packet = 0; packet < 20; packet += 1) client.send(writeChannelData(channel, Buffer.from("media")));
    await vi.waitFor(() => expect(relay.counters().dropped.limited).toBeGreaterThan(10));
  });

  test("relays to none of its own listeners, at whichever of its addresses", async () => {
    const wildcard = config({ listen: ["udp://0.0.0.0:0"], peers: { allow: ["0.0.0.0/0"] } });
    const relay = await start(wildcard);
    const { port } = doorOf(relay);
    const minted = mintCredential(secret, person, Math.floor(Date.now() / 1000) + 600);
    const client = await TurnClient.open({ address: "127.0.0.1", port }, minted);
    onTestFinished(() => client.close());
    await client.allocate();
    const own = Object.values(networkInterfaces()).flatMap((infos) => infos ?? []);
    const addresses = own.filter(({ family }) => family === "IPv4").map(({ address }) => address);
    expect(addresses).toContain("127.0.0.1");
    for (const [index, address] of [...addresses, peerAddress].entries()) {
      const bind = { channelNumber: channel + index, xorPeerAddress: [{ address, port }] };
      expect(await client.ask("channelBind", bind), address).toMatchObject({
        attributes: { errorCode: { code: 403 } },
      });
    }
  });

  test("closes every socket when it stops", async () => {
    const relay = await start();
    const client = await clientOf(relay);
    await client.allocate();
    expect(relay.counters().relays).toBe(1);
    await relay.stop();
    expect(relay.counters().relays).toBe(0);
    const { port } = doorOf(relay);
    const again = await start(
      config({ listen: [`udp://127.0.0.1:${port}`], metrics: `http://127.0.0.1:${relay.metrics?.port}` }),
    );
    expect(doorOf(again).port).toBe(port);
  });

  test("leaves nothing open when it cannot start", async () => {
    const first = await start();
    const { port } = doorOf(await start(config({ metrics: "none" })));
    await expect(start(config({ listen: [`udp://127.0.0.1:${port}`] }))).rejects.toThrow(Unavailable);
    const free = doorOf(first).port;
    await first.stop();
    const taken = config({ listen: [`udp://127.0.0.1:${free}`, `udp://127.0.0.1:${port}`] });
    await expect(start(taken)).rejects.toThrow(`cannot listen on udp 127.0.0.1 port ${port}`);
    expect(doorOf(await start(config({ listen: [`udp://127.0.0.1:${free}`] }))).port).toBe(free);
  });

  test("leaves nothing open when its metrics port is taken", async () => {
    const first = await start();
    const { port } = doorOf(await start(config({ metrics: "none" })));
    const taken = { listen: [`tcp://127.0.0.1:${port}`], metrics: `http://127.0.0.1:${first.metrics?.port}` };
    await expect(start(config(taken))).rejects.toThrow(`cannot serve metrics on 127.0.0.1 port ${first.metrics?.port}`);
    expect(doorOf(await start(config({ ...taken, metrics: "none" })), "tcp").port).toBe(port);
  });

  test("does not start with a relay address that this machine does not have", async () => {
    const taken = start(config({ "relay-address": ["203.0.113.5"] }));
    await expect(taken).rejects.toThrow("cannot relay on 203.0.113.5; behind a NAT say relay-address: { bind: AN-ADDR");
    await expect(taken).rejects.toMatchObject({ cause: { code: "EADDRNOTAVAIL" } });
  });

  test("moves all its listeners together, if it may", async () => {
    const { port } = doorOf(await start());
    const asked = config({ listen: [`udp://127.0.0.1:${port}`, `tcp://127.0.0.1:${port}`] });
    const moved = await start(asked, true);
    const ports = moved.listeners.map(({ at }) => at.port);
    expect(new Set(ports).size).toBe(1);
    expect(ports[0]).toBeGreaterThan(port);
    expect(lines.join("")).toContain(`port ${port} is taken`);
  });
});

describe("the doors", () => {
  test("are the listeners as the world sees them", async () => {
    const behindNat = { bind: "127.0.0.1", external: "203.0.113.5" };
    const listen = ["udp://127.0.0.1:0", "tcp://127.0.0.2:0", "udp://0.0.0.0:0"];
    const relay = await start(config({ "relay-address": [behindNat], listen }));
    const [first, second, third] = relay.listeners.map(({ at }) => at.port);
    expect(relay.doors).toEqual([
      { transport: "udp", host: "203.0.113.5", port: first },
      { transport: "tcp", host: "127.0.0.2", port: second },
      { transport: "udp", host: "203.0.113.5", port: third },
    ]);
  });
});

describe("the log at its default", () => {
  test("names no client, peer, user, password or secret on a whole allocation", async () => {
    const relay = await start();
    await wholeCycle(relay);
    const stranger = await clientOf(relay, "a-wrong-password");
    await stranger.allocate();
    await relay.stop();
    const text = lines.join("");
    for (const fact of ["allocation-opened", "allocation-closed", "relay-closed"]) {
      expect(text).toContain(`"msg":"${fact}"`);
    }
    expect(text).toContain('"client":"127.0.0.0/24"');
    for (const kept of [clientAddress, peerAddress, person, secret, "a-wrong-password", "to and fro"]) {
      expect(text).not.toContain(kept);
    }
  });

  test("shows them when the operator asks", async () => {
    const relay = await start(config({ log: { addresses: "shown" } }));
    await wholeCycle(relay);
    await vi.waitFor(() => expect(lines.join("")).toContain("relay-closed"));
    expect(lines.join("")).toContain(`"client":"${clientAddress}:`);
    expect(lines.join("")).toContain(person);
    expect(lines.join("")).not.toContain(secret);
  });
});
