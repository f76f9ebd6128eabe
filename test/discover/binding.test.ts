import { describe, expect, test } from "vitest";
import type { Endpoint } from "../../src/contract.ts";
import { readBinding, writeBinding } from "../../src/discover/binding.ts";
import type { Attributes } from "../../src/stun/attributes.ts";
import { decode, encode } from "../../src/stun/message.ts";
import { Method } from "../../src/stun/methods.ts";

const transactionId = Uint8Array.from({ length: 12 }, (_, i) => i + 1);
const fourth: Endpoint = { address: "203.0.113.7", port: 40_321 };
const sixth: Endpoint = { address: "2001:db8::7", port: 40_321 };

function answer(attributes: Attributes): Buffer {
  return Buffer.from(encode({ class: "success", method: Method.binding, transactionId, attributes }));
}

describe("a Binding request", () => {
  test.each([
    [{}, {}],
    [{ change: "port" }, { changeRequest: { changesAddress: false, changesPort: true } }],
    [{ change: "address-and-port" }, { changeRequest: { changesAddress: true, changesPort: true } }],
    [{ responsePort: 50_000 }, { responsePort: 50_000 }],
  ] as const)("with %o is read so by our server", (options, attributes) => {
    const { transaction, bytes } = writeBinding(options);
    const message = decode(bytes);
    expect(message).toMatchObject({ class: "request", method: Method.binding, classic: false });
    expect(message?.attributes).toEqual(attributes);
    expect(Buffer.from(message?.transactionId ?? []).toString("hex")).toBe(transaction);
  });

  test("has another transaction id each time", () => {
    expect(writeBinding().transaction).not.toBe(writeBinding().transaction);
  });

  test("that came back is told from an answer", () => {
    const { transaction, bytes } = writeBinding();
    expect(readBinding(Buffer.from(bytes))).toMatchObject({ transaction, class: "request" });
  });
});

describe("an answer", () => {
  test.each([fourth, sixth])("tells the mapped address and the server's other one: $address", (at) => {
    expect(readBinding(answer({ xorMappedAddress: at, otherAddress: at }))).toEqual({
      transaction: "0102030405060708090a0b0c",
      class: "success",
      mapped: at,
      other: at,
    });
  });

  test.each([fourth, sixth])("of a server that does not XOR is believed, too: $address", (at) => {
    expect(readBinding(answer({ mappedAddress: at }))?.mapped).toEqual(at);
  });

  test("that is XOR'ed is believed before one that a middlebox may have rewritten", () => {
    const rewritten = { address: "10.0.0.2", port: 1 };
    expect(readBinding(answer({ mappedAddress: rewritten, xorMappedAddress: fourth }))?.mapped).toEqual(fourth);
  });

  test.each([
    ["nothing", Buffer.alloc(0)],
    ["text", Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n")],
    ["half a message", answer({ xorMappedAddress: fourth }).subarray(0, 27)],
    ["an address of port 0", answer({ otherAddress: { ...fourth, port: 0 } })],
  ])("that is none is not read: %s", (_, bytes) => {
    expect(readBinding(bytes)).toBeUndefined();
  });
});
