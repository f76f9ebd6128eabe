// D: denial of service. Half-open handshakes are in half-open-tls.test.ts; docs/security.md has the list.

import { once } from "node:events";
import { createServer } from "node:net";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, onTestFinished, test } from "vitest";
import { encode } from "../../src/stun/message.ts";
import type { Client } from "../conformance/client.ts";
import * as wire from "../conformance/wire.ts";
import { codeOf, udpListener, World } from "../turn/world.ts";
import { openVictim } from "./victim.ts";

/** Bytes of the heap that are still needed. */
function usedHeap(): number {
  setFlagsFromString("--expose-gc");
  const collect: () => void = runInNewContext("gc");
  collect();
  return process.memoryUsage().heapUsed;
}

describe("D2", () => {
  test("fifty thousand forged sources leave nothing behind in the machine", { timeout: 60_000 }, () => {
    const world = new World();
    const client = world.client();
    const bytes = [
      encode(client.request("binding")),
      encode(client.request("allocate", { requestedTransport: 17 })),
      client.sign(
        { ...client.request("refresh") },
        { key: Buffer.alloc(16) },
        { nonce: "obMatJos2gAAAaaaaaaaaaaaaaaa" },
      ),
    ];
    const ask = (from: number, to: number) => {
      for (let i = from; i < to; i += 1) {
        const address = `${1 + (i >> 24)}.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`;
        const via = udpListener.socket;
        world.server.handle(world.now, {
          is: "datagram",
          on: udpListener,
          via,
          from: { address, port: 1024 + (i & 4095) },
          bytes: bytes[i % bytes.length] ?? Buffer.alloc(0),
        });
      }
    };
    // What is compiled and cached once is not meant.
    ask(0, 20_000);
    const before = usedHeap();
    ask(20_000, 70_000);
    expect(usedHeap() - before).toBeLessThan(500_000);
  });
});

describe("D5", () => {
  const size = 12;
  const first = 49_200;

  async function allocate(bench: Awaited<ReturnType<typeof openVictim>>["bench"], count: number): Promise<Client[]> {
    const clients: Client[] = [];
    for (let i = 0; i < count; i += 1)
      clients.push((await bench.allocation({ credential: bench.otherCredential })).client);
    return clients;
  }

  test.for(["portable", "auto"])(
    "one user cannot take every relay port of the plane %s, and what was taken is all there again after Refresh 0",
    async (dataplane) => {
      const { bench, relay } = await openVictim({
        dataplane,
        // Where nobody else takes ports.
        "relay-address": "127.0.0.76",
        "relay-ports": `${first}-${first + size - 1}`,
        quota: { "allocations-per-user": size - 2 },
      });
      for (let round = 0; round < 3; round += 1) {
        const clients = await allocate(bench, size - 2);
        const greedy = await bench.client({ credential: bench.otherCredential });
        expect(wire.errorCodeOf(await greedy.allocate())).toBe(486);
        const others = [await bench.allocation(), await bench.allocation()].map(({ client }) => client);
        expect(wire.errorCodeOf(await (await bench.client()).allocate())).toBe(508);
        expect(relay.counters().relays).toBe(size);
        for (const client of [...clients, ...others]) {
          expect(wire.errorCodeOf(await client.refresh(wire.lifetime(0)))).toBe(0);
        }
        expect(relay.counters().relays).toBe(0);
      }
    },
  );

  test("ports are all there again after their allocations have expired, reserved ones too", () => {
    const world = new World();
    for (let i = 0; i < 50; i += 1) {
      world
        .client("198.51.100.7", { port: 5000 + i })
        .allocates(i % 2 === 0 ? { evenPort: { reservesNext: true } } : {});
    }
    expect(world.relays.size).toBe(75);
    world.passes(600);
    expect(world.relays.size).toBe(0);
  });
});

describe("D8", () => {
  test("no answer of ours has an answer of ours: two servers cannot be set upon each other", () => {
    const [one, other] = [new World(), new World()];
    const client = one.client();
    client.allocates();
    const answers = [
      encode(client.request("binding")),
      encode(client.request("allocate", { requestedTransport: 17 })),
      encode(client.request("refresh")),
      client.sign(client.request("refresh"), {}, { nonce: "stale" }),
      client.sign(client.request("createPermission", { dontFragment: true })),
      client.sign(client.request("refresh", { lifetime: 600 })),
      client.sign(client.request("channelBind")),
    ].flatMap((bytes) => client.sends(bytes));
    expect(answers).toHaveLength(7);
    const from = { address: "192.0.2.1", port: 3478 };
    for (const bytes of answers) {
      const input = { is: "datagram", on: udpListener, via: udpListener.socket, from, bytes } as const;
      expect(other.server.handle(other.now, input)).toEqual([]);
      expect(one.server.handle(one.now, input)).toEqual([]);
    }
    expect(codeOf(client.asks("refresh"))).toBe(0);
  });
});

describe("D10", () => {
  test.for(["portable", "auto"])("a dead auth hook touches no media on the plane %s", async (dataplane) => {
    const hook = createServer((socket) => void socket.on("error", () => {})).listen(0, "127.0.0.1");
    onTestFinished(() => void hook.close());
    await once(hook, "listening");
    const at = hook.address();
    const url = `http://127.0.0.1:${typeof at === "object" ? at?.port : 0}/`;
    const { bench } = await openVictim({ dataplane, "auth-hook": { url, "deadline-milliseconds": 1000 } });
    const [{ client, relayed }, peer] = [await bench.allocation(), await bench.peer()];
    expect(wire.errorCodeOf(await client.bindChannel(0x4000, peer.at))).toBe(0);

    const strangers = await Promise.all(Array.from({ length: 50 }, () => bench.client()));
    const refused = strangers.map(async (stranger, i) => {
      const credential = { username: `nobody-${i}`, password: "guess" };
      return wire.errorCodeOf(await stranger.ask(wire.method.allocate, [wire.requestedTransport()], { credential }));
    });
    let isWaiting = true;
    const answered = Promise.all(refused).finally(() => {
      isWaiting = false;
    });
    let echoes = 0;
    while (isWaiting) {
      client.sendOn(0x4000, `${echoes}`);
      await peer.expect(`${echoes}`);
      peer.send(relayed, `${echoes}`);
      const back = await client.next("the echo", ({ channelData }) => channelData !== undefined);
      expect(back.channelData?.payload.toString()).toBe(`${echoes}`);
      echoes += 1;
    }
    expect(new Set(await answered)).toEqual(new Set([401]));
    expect(echoes).toBeGreaterThan(100);
    expect(wire.errorCodeOf(await client.refresh(wire.lifetime(600)))).toBe(0);
  });
});
