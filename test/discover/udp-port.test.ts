import { createSocket } from "node:dgram";
import { once } from "node:events";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { type Endpoint, Unavailable } from "../../src/contract.ts";
import { udpPortsTowards } from "../../src/discover/udp-port.ts";

async function openServer() {
  const server = createSocket("udp4").bind(0, "127.0.0.1");
  onTestFinished(() => void server.close());
  await once(server, "listening");
  return server;
}

describe("a port", () => {
  test("loses nothing of a burst", async () => {
    const server = await openServer();
    const received: string[] = [];
    const open = await udpPortsTowards({ address: "127.0.0.1", port: server.address().port });
    const port = await open((bytes) => received.push(bytes.toString()));
    const sent = Array.from({ length: 200 }, (_, i) => `packet ${i}`);
    await Promise.all(
      sent.map((text) => new Promise((resolve) => server.send(text, port.local.port, port.local.address, resolve))),
    );
    await vi.waitFor(() => expect(received).toEqual(sent));
    await port.close();
  });

  test("stands at the address that packets leave from, and says where they come from", async () => {
    const server = await openServer();
    const at = { address: "127.0.0.1", port: server.address().port };
    const open = await udpPortsTowards(at);
    const senders: Endpoint[] = [];
    const port = await open((_, from) => senders.push(from));
    const asked = once(server, "message");
    port.send(Buffer.from("hello"), at);
    const [, from] = await asked;
    expect(port.local).toEqual({ address: from.address, port: from.port });
    server.send("hello", from.port, from.address);
    await vi.waitFor(() => expect(senders).toEqual([at]));
    await port.close();
  });

  test("takes a packet that cannot be sent for lost", async () => {
    const open = await udpPortsTowards({ address: "127.0.0.1", port: 9 });
    const port = await open(() => {});
    port.send(Buffer.alloc(70_000), { address: "127.0.0.1", port: 9 });
    await port.close();
    port.send(Buffer.from("late"), { address: "127.0.0.1", port: 9 });
  });
});

test("where there is no way to the server, that is unavailable", async () => {
  await expect(udpPortsTowards({ address: "fe80::1", port: 9 })).rejects.toThrow(Unavailable);
});
