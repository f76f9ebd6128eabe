import { createSocket } from "node:dgram";
import { once } from "node:events";
import { expect, onTestFinished, test } from "vitest";
import { askExternalAddress, type StunServer } from "../../src/discover/external-address.ts";
import type { Attributes } from "../../src/stun/attributes.ts";
import { type Draft, decode, encode } from "../../src/stun/message.ts";

const seen = { address: "203.0.113.5", port: 40_000 };

/** A STUN server that answers as it is told to; the answer leaves from another port if `isElsewhere`. */
async function server(change: (answer: Draft) => Draft, isElsewhere = false): Promise<StunServer> {
  const [socket, other] = [createSocket("udp4"), createSocket("udp4")];
  for (const each of [socket, other]) {
    onTestFinished(() => void each.close());
    each.bind(0, "127.0.0.1");
    await once(each, "listening");
  }
  socket.on("message", (bytes, from) => {
    const request = decode(bytes);
    if (!request) return;
    const { method, transactionId } = request;
    const attributes: Attributes = { xorMappedAddress: seen };
    const answer = encode(change({ class: "success", method, transactionId, attributes }));
    (isElsewhere ? other : socket).send(answer, from.port, from.address);
  });
  return { host: "127.0.0.1", port: socket.address().port };
}

test("an answer counts that comes from the server that was asked, for this request, of the right family", async () => {
  const servers = await Promise.all([
    server((answer) => answer),
    server((answer) => ({ ...answer, transactionId: Buffer.alloc(12, 7) })),
    server((answer) => answer, true),
    server((answer) => ({ ...answer, class: "error" })),
    server((answer) => ({ ...answer, attributes: { xorMappedAddress: { address: "2001:db8::5", port: 1 } } })),
    server((answer) => ({ ...answer, attributes: {} })),
  ]);
  const nowhere = { host: "nowhere.invalid", port: 3478 };
  expect(await askExternalAddress("127.0.0.1", [...servers, nowhere])).toEqual([
    { address: "203.0.113.5", keepsPort: false },
    ...Array.from({ length: 6 }, () => undefined),
  ]);
}, 30_000);

test("it is told where the port is as it was", async () => {
  const socket = createSocket("udp4", (bytes, from) => {
    const { method = 1, transactionId = Buffer.alloc(12) } = decode(bytes) ?? {};
    const attributes = { xorMappedAddress: { address: "203.0.113.5", port: from.port } };
    socket.send(encode({ class: "success", method, transactionId, attributes }), from.port, from.address);
  });
  onTestFinished(() => void socket.close());
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  const asked = askExternalAddress("127.0.0.1", [{ host: "localhost", port: socket.address().port }]);
  expect(await asked).toEqual([{ address: "203.0.113.5", keepsPort: true }]);
});

test("an address that this machine has not is nowhere to ask from", async () => {
  await expect(askExternalAddress("192.0.2.1", [])).rejects.toThrow("EADDRNOTAVAIL");
});
