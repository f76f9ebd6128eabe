// The deny matrix on the wire: each spelling of each forbidden address, asked for in each way there is, while a trap
// listens at that port on every address of this machine.

import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readConfig } from "../../src/config/config.ts";
import { familyOf } from "../../src/contract.ts";
import { type Relay, startRelay } from "../../src/relay.ts";
import { Client } from "../conformance/client.ts";
import * as wire from "../conformance/wire.ts";
import { forbiddenPeers } from "../turn/forbidden-peers.ts";

const alice = { username: "alice", password: "wonderland" };
const firstChannel = 0x4000;

let relay: Relay;
let traps: Trap[];
let port: number;

beforeAll(async () => {
  const flags = {
    listen: ["udp://127.0.0.1:0"],
    user: { alice: alice.password },
    "relay-address": ["127.0.0.77", "::1"],
    metrics: "none",
    log: { level: "silent" },
  };
  relay = await startRelay(readConfig({ flags }));
  const everywhere = await openTrap("udp4", "0.0.0.0", 0);
  port = everywhere.socket.address().port;
  traps = [everywhere, await openTrap("udp6", "::", port)];
});

afterAll(async () => {
  for (const { socket } of traps) socket.close();
  await relay.stop();
});

interface Trap {
  readonly socket: Socket;
  readonly caught: string[];
}

async function openTrap(type: "udp4" | "udp6", address: string, port: number): Promise<Trap> {
  const socket = createSocket({ type, ipv6Only: type === "udp6" });
  const caught: string[] = [];
  socket.on("message", (bytes) => caught.push(bytes.toString()));
  socket.bind(port, address);
  await once(socket, "listening");
  return { socket, caught };
}

/** Resolves once the traps have caught what was sent to them before this. */
async function settle(): Promise<void> {
  const marker = createSocket("udp4");
  const marker6 = createSocket("udp6");
  marker.send("marker", port, "127.0.0.1");
  marker6.send("marker", port, "::1");
  await expect.poll(() => traps.map(({ caught }) => caught.includes("marker"))).toEqual([true, true]);
  marker.close();
  marker6.close();
}

describe("by default, a client that has an allocation", () => {
  test("is refused every forbidden peer, and nothing arrives there", async () => {
    const listener = relay.listeners[0];
    if (!listener) throw new Error("no listener");
    const clients = new Map<number, Client>();
    for (const [family, code] of [
      [4, 1],
      [6, 2],
    ] as const) {
      const client = await Client.open("udp", listener.at, alice, new Set());
      const reply = await client.allocate(wire.requestedAddressFamily(code));
      expect(wire.classOf(reply)).toBe(wire.messageClass.success);
      clients.set(family, client);
    }

    const answers: string[] = [];
    for (const [index, { address }] of forbiddenPeers.entries()) {
      const client = clients.get(familyOf(address));
      if (!client) throw new Error("no client of that family");
      const peer = { address, port };
      const channel = firstChannel + index;
      const permitted = wire.errorCodeOf(await client.createPermission(peer));
      const bound = wire.errorCodeOf(await client.bindChannel(channel, peer));
      client.sendTo(peer, `Send to ${address}`);
      client.sendOn(channel, `ChannelData to ${address}`);
      await client.mark();
      answers.push(`${address} ${permitted} ${bound}`);
    }
    await settle();

    // A relay may have a permission for its own address, where other relayed addresses are: but no way to this port.
    const own = "::1";
    const codes = (address: string) => (address === own ? [0, 0] : [403, 403]);
    expect(answers).toEqual(forbiddenPeers.map(({ address }) => [address, ...codes(address)].join(" ")));
    expect(forbiddenPeers.length).toBeGreaterThanOrEqual(60);
    expect(traps.flatMap(({ caught }) => caught)).toEqual(["marker", "marker"]);
    expect(relay.counters().relayed).toEqual([]);
    for (const client of clients.values()) await client.close();
  });
});
