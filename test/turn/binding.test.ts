import { describe, expect, test } from "vitest";
import { attributeTable } from "../../src/stun/attributes.ts";
import { decode, encode } from "../../src/stun/message.ts";
import { Method } from "../../src/stun/methods.ts";
import { codeOf, peer, World } from "./world.ts";

/** A Binding request with whatever attributes, written by hand: type and value. */
function bindingWith(...attributes: [type: number, value: Uint8Array][]): Buffer {
  const body = attributes.map(([type, value]) => {
    const bytes = Buffer.alloc(4 + ((value.length + 3) & ~3));
    bytes.writeUInt16BE(type, 0);
    bytes.writeUInt16BE(value.length, 2);
    bytes.set(value, 4);
    return bytes;
  });
  const header = Buffer.from("000100002112a442000102030405060708090a0b", "hex");
  const message = Buffer.concat([header, ...body]);
  message.writeUInt16BE(message.length - 20, 2);
  return message;
}

describe("Binding", () => {
  test("tells a client its address, without credentials", () => {
    const client = new World().client("198.51.100.7", { port: 5000 });
    expect(client.asksBare("binding")).toMatchObject({
      class: "success",
      method: Method.binding,
      attributes: { xorMappedAddress: { address: "198.51.100.7", port: 5000 } },
    });
  });

  test("tells an IPv6 client its address, and one over TCP", () => {
    const { attributes } = new World().client("2001:db8::7", { transport: "tcp" }).asksBare("binding");
    expect(attributes).toEqual({ xorMappedAddress: { address: "2001:db8::7", port: 5000 } });
  });

  test("does not treat an IPv4-mapped client address specially", () => {
    const { attributes } = new World().client("::ffff:198.51.100.7").asksBare("binding");
    expect(attributes).toEqual({ xorMappedAddress: { address: "::ffff:198.51.100.7", port: 5000 } });
  });

  test("tells a client of RFC 3489 its address without XOR, and repeats its sixteen bytes of transaction id", () => {
    const client = new World().client();
    const transactionId = Uint8Array.from({ length: 16 }, (_, i) => i + 1);
    const request = encode({ class: "request", method: Method.binding, transactionId, classic: true, attributes: {} });
    const [bytes = new Uint8Array()] = client.sends(request);
    expect(decode(bytes)).toMatchObject({
      class: "success",
      classic: true,
      attributes: { mappedAddress: { address: "198.51.100.7", port: 5000 } },
    });
    expect(Buffer.from(bytes.subarray(4, 20))).toEqual(Buffer.from(transactionId));
  });

  test("ignores a CHANGE-REQUEST that asks for no change, and refuses one that does", () => {
    const client = new World().client();
    const none = { changesAddress: false, changesPort: false };
    expect(codeOf(client.asksBare("binding", { changeRequest: none }))).toBe(0);
    expect(client.asksBare("binding", { changeRequest: { ...none, changesPort: true } }).attributes).toMatchObject({
      errorCode: { code: 420 },
      unknownAttributes: [attributeTable.changeRequest.type],
    });
  });

  test("names every unknown attribute that must be comprehended, once, in a 420, and ignores the others", () => {
    const client = new World().client();
    const nothing = new Uint8Array();
    const answer = client.hearsBack(
      bindingWith([0x7fff, nothing], [0x8fff, nothing], [0x7ffe, nothing], [0x7fff, nothing]),
    );
    expect(answer.attributes).toEqual({
      errorCode: { code: 420, reason: "" },
      unknownAttributes: [0x7fff, 0x7ffe],
    });
    expect(codeOf(client.hearsBack(bindingWith([0x8fff, nothing])))).toBe(0);
  });

  test("answers with a FINGERPRINT where the request had one, and is silent where it was wrong", () => {
    const client = new World().client();
    const request = client.request("binding");
    const answer = client.hearsBack(encode(request, { fingerprint: true }));
    expect(answer.types).toContain(attributeTable.fingerprint.type);
    expect(client.asksBare("binding").types).not.toContain(attributeTable.fingerprint.type);

    const wrong = Buffer.from(encode(request, { fingerprint: true }));
    wrong.writeUInt8(wrong.readUInt8(wrong.length - 1) ^ 1, wrong.length - 1);
    expect(client.sends(wrong)).toEqual([]);
  });

  test("is never answered where it is not a request", () => {
    const client = new World().client();
    for (const messageClass of ["indication", "success", "error"] as const) {
      expect(client.sends(encode({ ...client.request("binding"), class: messageClass }))).toEqual([]);
    }
  });

  test("is reported", () => {
    const world = new World();
    world.client().asksBare("binding");
    expect(world.facts).toEqual([
      {
        fact: "answered",
        method: "Binding",
        code: 0,
        transport: "udp",
        client: { address: "198.51.100.7", port: 5000 },
      },
    ]);
  });
});

describe("STUN without TURN", () => {
  test.each([true, false])("answers Binding and discards all else, with credentials: %s", (hasCredentials) => {
    const client = new World({ relays: false }).client();
    expect(codeOf(client.asksBare("binding"))).toBe(0);
    for (const method of ["allocate", "refresh", "createPermission", "channelBind"] as const) {
      const request = client.request(method, { requestedTransport: 17 });
      expect(client.sends(hasCredentials ? client.sign(request) : encode(request)), method).toEqual([]);
    }
    expect(client.indicates({ xorPeerAddress: [peer], data: new Uint8Array(4) })).toEqual([]);
  });
});

describe("a method that is none of ours", () => {
  test.each(["data", "connect", "connectionBind", "connectionAttempt"] as const)("%s is not answered", (method) => {
    const client = new World().client();
    expect(client.sends(encode(client.request(method)))).toEqual([]);
  });

  test("ConnectionBind is answered over streams all the same, since planes read nothing behind it before", () => {
    const client = new World().client("198.51.100.7", { transport: "tcp" });
    expect(codeOf(client.asksBare("connectionBind"))).toBe(400);
  });

  test("a Send request is not answered, for Send is an indication", () => {
    const client = new World().client();
    expect(client.sends(encode(client.request("send")))).toEqual([]);
  });
});
