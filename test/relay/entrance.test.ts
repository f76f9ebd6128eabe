// What the configuration says of proxies, seen by their clients.

import { once } from "node:events";
import { connect } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { readConfig } from "../../src/config/config.ts";
import { startRelay } from "../../src/relay.ts";
import { decode, encode } from "../../src/stun/message.ts";
import { Method } from "../../src/stun/methods.ts";

const flags = {
  listen: ["tcp://127.0.0.1:0"],
  "proxy-protocol": { trusted: ["192.0.2.0/24", "127.0.0.8/31"] },
  secret: "rabbit",
  loopback: true,
  metrics: "none",
  log: { level: "silent" },
};

test("the machine knows a client behind a proxy by the address that the proxy says", async () => {
  const relay = await startRelay(readConfig({ flags, env: {} }));
  onTestFinished(() => relay.stop());
  const port = relay.listeners[0]?.at.port ?? 0;
  const client = connect({ host: "127.0.0.1", port, localAddress: "127.0.0.9" });
  onTestFinished(() => void client.destroy());
  client.write("PROXY TCP4 198.51.100.7 192.0.2.1 35552 3478\r\n");
  client.write(encode({ class: "request", method: Method.binding, transactionId: Buffer.alloc(12), attributes: {} }));
  const [answer] = await once(client, "data");
  expect(decode(answer)?.attributes.xorMappedAddress).toEqual({ address: "198.51.100.7", port: 35552 });
});
