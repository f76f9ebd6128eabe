// A server with two addresses and two ports, asked in every way that RFC 5780 section 6 and RFC 3489 section 8.1 know.

import { describe, expect, test } from "vitest";
import type { Action, Endpoint, Listener } from "../../src/contract.ts";
import { type Attributes, attributeTable } from "../../src/stun/attributes.ts";
import { decode, encode, type Message } from "../../src/stun/message.ts";
import { Method } from "../../src/stun/methods.ts";
import type { Square } from "../../src/turn/requests/nat-discovery.ts";
import { tcpListener, udpListener, World } from "./world.ts";

type Send = Extract<Action, { do: "send" }>;

const client: Endpoint = { address: "198.51.100.7", port: 5000 };
const corners = squareAt("192.0.2.1", "192.0.2.2");
const [a1p1] = corners;

function squareAt(primary: string, alternate: string, firstSocket = udpListener.socket): Square {
  const at = [primary, alternate].flatMap((address) => [3478, 3479].map((port) => ({ address, port })));
  const corner = (index: number) => ({ socket: firstSocket + index * 100, at: at[index] ?? udpListener.at });
  return [corner(0), corner(1), corner(2), corner(3)];
}

/** What the server sends for a request that came to this corner. */
function sendsFor(bytes: Uint8Array, to = a1p1, from = client, squares: readonly Square[] = [corners]): Send[] {
  const on: Listener = { socket: to.socket, transport: "udp", at: to.at };
  const actions = new World({ squares }).hears({ is: "datagram", on, via: on.socket, from, bytes });
  return actions.filter((action) => action.do === "send");
}

function request(attributes: Attributes = {}, classic = false): Uint8Array {
  const transactionId = new Uint8Array(classic ? 16 : 12).fill(9);
  return encode({ class: "request", method: Method.binding, transactionId, classic, attributes });
}

/** The one answer, how it left and where to. */
function ask(bytes: Uint8Array, to = a1p1): Message & Pick<Send, "via" | "to"> & { size: number } {
  const [send, ...more] = sendsFor(bytes, to);
  const answer = send && decode(send.bytes);
  if (!answer || more.length > 0) throw new Error("not one answer");
  return { ...answer, via: send.via, to: send.to, size: send.bytes.length };
}

const changes = [
  { changesAddress: false, changesPort: false },
  { changesAddress: false, changesPort: true },
  { changesAddress: true, changesPort: false },
  { changesAddress: true, changesPort: true },
];

/** Table 1 of RFC 5780, which is that of RFC 3489: for each corner, who answers to each of `changes`. */
const table = [
  [0, 1, 2, 3],
  [1, 0, 3, 2],
  [2, 3, 0, 1],
  [3, 2, 1, 0],
].flatMap((origins, here) =>
  origins.map((origin, change) => ({
    here: corners[here] ?? a1p1,
    change: changes[change],
    origin: corners[origin] ?? a1p1,
    other: corners[3 - here] ?? a1p1,
  })),
);

describe("NAT discovery", () => {
  test("adds its origin and the other address to every answer, and the mapped address in both forms", () => {
    expect(ask(request())).toMatchObject({
      via: a1p1.socket,
      to: client,
      class: "success",
      attributes: {
        mappedAddress: client,
        xorMappedAddress: client,
        responseOrigin: { address: "192.0.2.1", port: 3478 },
        otherAddress: { address: "192.0.2.2", port: 3479 },
      },
    });
  });

  test.each(table)("at $here.at.address:$here.at.port answers $change from the right corner", (row) => {
    const answer = ask(request({ changeRequest: row.change }), row.here);
    expect(answer).toMatchObject({ via: row.origin.socket, to: client });
    expect(answer.attributes).toMatchObject({ responseOrigin: row.origin.at, otherAddress: row.other.at });
  });

  test.each(table)("answers a classic client at $here.at.address:$here.at.port and $change so, too", (row) => {
    const answer = ask(request({ changeRequest: row.change }, true), row.here);
    expect(answer).toMatchObject({ classic: true, via: row.origin.socket, to: client });
    expect(answer.attributes).toEqual({
      mappedAddress: client,
      sourceAddress: row.origin.at,
      changedAddress: row.other.at,
    });
  });

  test("answers to another port of the same address, from wherever it is asked to", () => {
    const changeRequest = { changesAddress: true, changesPort: true };
    const answer = ask(request({ responsePort: 6000, changeRequest }));
    expect(answer).toMatchObject({ via: corners[3].socket, to: { address: client.address, port: 6000 } });
    expect(answer.attributes.xorMappedAddress).toEqual(client);
  });

  test("answers to no other address: a classic RESPONSE-ADDRESS is not comprehended", () => {
    const answer = ask(request({ responseAddress: { address: "203.0.113.9", port: 53 } }, true));
    expect(answer).toMatchObject({ to: client, attributes: { errorCode: { code: 420 } } });
    expect(answer.attributes.unknownAttributes).toEqual([attributeTable.responseAddress.type]);
  });

  test.each<[string, Attributes]>([
    ["RESPONSE-PORT together with PADDING", { responsePort: 6000, padding: new Uint8Array(1500) }],
    ["RESPONSE-PORT 0", { responsePort: 0 }],
  ])("refuses %s, and tells the sender so", (_, attributes) => {
    const answer = ask(request(attributes));
    expect(answer).toMatchObject({ via: a1p1.socket, to: client, attributes: { errorCode: { code: 400 } } });
  });

  test("refuses what it does not know, at the place it was asked", () => {
    const changeRequest = { changesAddress: true, changesPort: true };
    const answer = ask(request({ changeRequest, useCandidate: true }));
    expect(answer).toMatchObject({ via: a1p1.socket, to: client, attributes: { errorCode: { code: 420 } } });
    expect(answer.attributes.unknownAttributes).toEqual([attributeTable.useCandidate.type]);
  });

  test("refuses a malformed CHANGE-REQUEST", () => {
    const bytes = Buffer.from(request({ changeRequest: changes[3] }));
    bytes.writeUInt16BE(3, 22);
    expect(ask(bytes)).toMatchObject({ to: client, attributes: { errorCode: { code: 400 } } });
  });

  test("serves IPv4 and IPv6 side by side, each with its own addresses", () => {
    const six = squareAt("2001:db8::1", "2001:db8::2", 50);
    const from = { address: "2001:db8::7", port: 5000 };
    const [send] = sendsFor(request({ changeRequest: changes[3] }), six[0], from, [corners, six]);
    expect(send?.via).toBe(six[3].socket);
    expect(decode(send?.bytes ?? new Uint8Array())?.attributes).toMatchObject({
      xorMappedAddress: from,
      responseOrigin: { address: "2001:db8::2", port: 3479 },
      otherAddress: { address: "2001:db8::2", port: 3479 },
    });
  });

  test("is not at a listener that is no corner: there answers stay as they are without it", () => {
    const on = tcpListener;
    for (const bytes of [request(), request({ changeRequest: changes[3] }), request({ padding: new Uint8Array(8) })]) {
      const input = { is: "datagram", on, via: 900, from: client, bytes } as const;
      expect(new World({ squares: [corners] }).hears(input)).toEqual(new World().hears(input));
    }
  });

  test("leaves an answer to Allocate as it is", () => {
    const bytes = encode({
      class: "request",
      method: Method.allocate,
      transactionId: new Uint8Array(12),
      attributes: { requestedTransport: 17, changeRequest: changes[3] },
    });
    const [send] = sendsFor(bytes);
    expect(send).toMatchObject({ via: a1p1.socket, to: client });
    expect(decode(send?.bytes ?? new Uint8Array())?.attributes.otherAddress).toBeUndefined();
  });
});

describe("what NAT discovery can be made to send", () => {
  test.each<[string, Attributes]>([
    ["nothing", {}],
    ["CHANGE-REQUEST", { changeRequest: changes[3] }],
    ["RESPONSE-PORT", { responsePort: 6000 }],
    ["both", { changeRequest: changes[3], responsePort: 6000 }],
  ])("with %s is one answer of 68 bytes", (_, attributes) => {
    expect(ask(request(attributes)).size).toBe(68);
  });

  test("to a classic client is one answer of 56 bytes, twice its request", () => {
    expect(ask(request({ changeRequest: changes[3] }, true)).size).toBe(56);
  });

  test.each([100, 1480, 1500, 9001, 65_000])("with %i bytes of PADDING is no larger than its request", (length) => {
    const asked = request({ padding: new Uint8Array(length).fill(1) });
    const answer = ask(asked);
    expect(answer.size).toBeLessThanOrEqual(asked.length);
    expect(answer.size).toBeGreaterThan(asked.length - 100);
    expect(answer.attributes.padding?.every((byte) => byte === 0)).toBe(true);
  });

  test("with little PADDING is an answer with none in it", () => {
    expect(ask(request({ padding: new Uint8Array(4) }))).toMatchObject({ size: 72, attributes: { padding: {} } });
    expect(ask(request()).attributes.padding).toBeUndefined();
  });
});
