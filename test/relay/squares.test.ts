// NAT discovery on a relay that runs: four listeners, of which each answers for the others.

import { randomBytes } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { describe, expect, onTestFinished, test } from "vitest";
import { readConfig } from "../../src/config/config.ts";
import { type Endpoint, Unavailable } from "../../src/contract.ts";
import { type Relay, startRelay } from "../../src/relay.ts";
import type { Attributes } from "../../src/stun/attributes.ts";
import { decode, encode } from "../../src/stun/message.ts";
import { Method } from "../../src/stun/methods.ts";
import { TurnClient } from "../cli/turn-client.ts";

const both = { changesAddress: true, changesPort: true };
const alternate = { "alternate-address": "127.0.0.2", "alternate-port": 0 };

async function startOn(
  dataplane: string,
  more: Record<string, unknown> = { "nat-discovery": alternate },
): Promise<Relay> {
  const flags = {
    listen: ["udp://127.0.0.1:0", "tcp://127.0.0.1:0"],
    user: { alice: "wonderland" },
    "relay-address": "127.0.0.1",
    metrics: "none",
    log: { level: "silent" },
    dataplane,
    ...more,
  };
  const relay = await startRelay(readConfig({ flags, env: {} }));
  onTestFinished(() => relay.stop());
  return relay;
}

function primaryOf(relay: Relay): Endpoint {
  return relay.listeners.find(({ transport }) => transport === "udp")?.at ?? { address: "", port: 0 };
}

async function openSocket(): Promise<Socket> {
  const socket = createSocket("udp4").bind(0, "127.0.0.3");
  onTestFinished(() => void socket.close());
  await once(socket, "listening");
  return socket;
}

/** What a Binding request is answered with, and from where. */
async function ask(socket: Socket, to: Endpoint, attributes: Attributes = {}) {
  const draft = { class: "request", method: Method.binding, transactionId: randomBytes(12), attributes } as const;
  const answered = once(socket, "message");
  socket.send(encode(draft), to.port, to.address);
  const [bytes, { address, port }] = await answered;
  return { from: { address, port }, attributes: decode(bytes)?.attributes };
}

describe.each(["portable", "auto"])("NAT discovery on the plane %s", (dataplane) => {
  const start = (more?: Record<string, unknown>) => startOn(dataplane, more);

  test("answers from where its answers say that they come", async () => {
    const primary = primaryOf(await start());
    const socket = await openSocket();
    const first = await ask(socket, primary);
    expect(first).toMatchObject({ from: primary, attributes: { responseOrigin: primary } });
    const other = first.attributes?.otherAddress;
    expect(other).toMatchObject({ address: "127.0.0.2" });
    expect(other?.port).not.toBe(primary.port);

    expect(await ask(socket, primary, { changeRequest: both })).toMatchObject({ from: other });
    const otherAddress = { address: "127.0.0.2", port: primary.port };
    const changeRequest = { changesAddress: true, changesPort: false };
    expect(await ask(socket, primary, { changeRequest })).toMatchObject({ from: otherAddress });
    expect(await ask(socket, otherAddress)).toMatchObject({ from: otherAddress });
  });

  test("is off without its section: no other address, no change, nobody at another port", async () => {
    const primary = primaryOf(await start({}));
    const socket = await openSocket();
    const from = { address: "127.0.0.3", port: socket.address().port };
    expect(await ask(socket, primary)).toEqual({ from: primary, attributes: { xorMappedAddress: from } });
    for (const attributes of [{ changeRequest: both }, { responsePort: 9 }, { padding: new Uint8Array(4) }]) {
      expect(await ask(socket, primary, attributes)).toMatchObject({
        from: primary,
        attributes: { errorCode: { code: 420 } },
      });
    }
  });

  test("names the addresses that the world sees", async () => {
    const primary = primaryOf(
      await start({
        "relay-address": { bind: "127.0.0.1", external: "203.0.113.1" },
        "nat-discovery": { ...alternate, "alternate-address": { bind: "127.0.0.2", external: "203.0.113.2" } },
      }),
    );
    const { from, attributes } = await ask(await openSocket(), primary);
    expect(from).toEqual(primary);
    expect(attributes?.responseOrigin).toEqual({ address: "203.0.113.1", port: primary.port });
    expect(attributes?.otherAddress?.address).toBe("203.0.113.2");
  });

  test("opens no further doors, and lets nobody be relayed to them", async () => {
    const external = "203.0.113.2";
    const relay = await start({
      loopback: true,
      "nat-discovery": { ...alternate, "alternate-address": { bind: "127.0.0.2", external } },
      peers: { allow: ["203.0.113.0/24"] },
    });
    const primary = primaryOf(relay);
    expect(relay.doors.map(({ host }) => host)).toEqual(["127.0.0.1", "127.0.0.1"]);

    const other = (await ask(await openSocket(), primary)).attributes?.otherAddress;
    const client = await TurnClient.open(primary, { username: "alice", password: "wonderland" });
    onTestFinished(() => client.close());
    await client.allocate();
    const ports = [primary.port, other?.port ?? 0];
    const bind = async (address: string, port: number, number: number) => {
      const answer = await client.ask("channelBind", {
        channelNumber: 0x4000 + number,
        xorPeerAddress: [{ address, port }],
      });
      return answer?.attributes.errorCode?.code;
    };
    for (const [index, address] of ["127.0.0.1", "127.0.0.2", external].entries()) {
      for (const port of ports) expect(await bind(address, port, index), `${address}:${port}`).toBe(403);
    }
    expect(await bind("127.0.0.2", 9, 4)).toBeUndefined();
  });

  test("leaves nothing open when the alternate address is not to be had", async () => {
    const relay = await start();
    const listen = [`udp://127.0.0.1:${primaryOf(relay).port}`];
    await relay.stop();
    const elsewhere = { ...alternate, "alternate-address": "203.0.113.2" };
    await expect(start({ listen, "nat-discovery": elsewhere })).rejects.toThrow(Unavailable);
    expect((await start({ listen, "nat-discovery": alternate })).listeners).toHaveLength(1);
  });
});
