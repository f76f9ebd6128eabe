import { setImmediate } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { Endpoint } from "../../src/contract.ts";
import { type OpenPort, Prober, type Sleep } from "../../src/discover/prober.ts";
import { encode } from "../../src/stun/message.ts";
import { Method } from "../../src/stun/methods.ts";

const server: Endpoint = { address: "192.0.2.1", port: 3478 };

/** Ports that remember what left them, and a clock that remembers what was waited for and does not wait. */
function network(answer: (request: Buffer, sent: number) => readonly Buffer[]) {
  const waits: number[] = [];
  const state = { waits, sent: [] as Buffer[], closed: 0 };
  const open: OpenPort = async (receive) => ({
    local: { address: "10.0.0.2", port: 5000 },
    send(bytes) {
      state.sent.push(Buffer.from(bytes));
      for (const back of answer(Buffer.from(bytes), state.sent.length)) receive(back, server);
    },
    async close() {
      state.closed += 1;
    },
  });
  const sleep: Sleep = async (millis, signal) => {
    waits.push(millis);
    await setImmediate();
    signal?.throwIfAborted();
  };
  return { state, prober: new Prober(open, sleep) };
}

function answerTo(request: Buffer, transactionId = request.subarray(8, 20)): Buffer {
  const attributes = { xorMappedAddress: { address: "203.0.113.7", port: 1 } };
  return Buffer.from(encode({ class: "success", method: Method.binding, transactionId, attributes }));
}

describe("a request", () => {
  test("that is not answered is sent seven times, at the times of RFC 8489, and given up", async () => {
    const { state, prober } = network(() => []);
    expect(await prober.ask(await prober.open(), server)).toBeUndefined();
    expect(state.waits).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 8000]);
    expect(new Set(state.sent.map((bytes) => bytes.toString("hex"))).size).toBe(1);
    expect(state.sent).toHaveLength(7);
  });

  test("that is answered is not sent again", async () => {
    const { state, prober } = network((request, sent) => (sent === 3 ? [answerTo(request)] : []));
    const port = await prober.open();
    expect(await prober.ask(port, server)).toMatchObject({ at: port, from: server, class: "success" });
    expect(state.sent).toHaveLength(3);
  });

  test("takes no other transaction's answer, and nothing that is not STUN", async () => {
    const other = (request: Buffer) => answerTo(request, Buffer.alloc(12, 7));
    const { state, prober } = network((request) => [other(request), Buffer.from("hello"), Buffer.alloc(0)]);
    expect(await prober.ask(await prober.open(), server)).toBeUndefined();
    expect(state.sent).toHaveLength(7);
  });

  test("takes its first answer, and does not mind the second", async () => {
    const { prober } = network((request) => [answerTo(request), answerTo(request)]);
    const port = await prober.open();
    const [first, second] = [await prober.ask(port, server), await prober.ask(port, server)];
    expect(first?.transaction).not.toBe(second?.transaction);
  });

  test("may be answered at another port than it left", async () => {
    const ports: ((bytes: Buffer, from: Endpoint) => void)[] = [];
    const open: OpenPort = async (receive) => {
      ports.push(receive);
      const send = (bytes: Uint8Array) => ports[0]?.(answerTo(Buffer.from(bytes)), server);
      return { local: { address: "10.0.0.2", port: ports.length }, send, close: async () => {} };
    };
    const prober = new Prober(open, () => new Promise(() => {}));
    const [waiting, asking] = [await prober.open(), await prober.open()];
    expect((await prober.ask(asking, server, { responsePort: 1 }))?.at).toBe(waiting);
  });
});

test("a prober closes every port that it opened", async () => {
  const { state, prober } = network(() => []);
  await prober.open();
  await prober.open();
  await prober.close();
  expect(state.closed).toBe(2);
});
