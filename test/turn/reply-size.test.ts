import { describe, expect, test } from "vitest";
import type { Attributes } from "../../src/stun/attributes.ts";
import { encode } from "../../src/stun/message.ts";
import { Method } from "../../src/stun/methods.ts";
import { peer, World } from "./world.ts";

const udp = { requestedTransport: 17 };

/** How much larger than the request is what an unknown client gets back? */
function growth(request: Uint8Array, address = "198.51.100.7"): number {
  const answers = new World().client(address).sends(request);
  return answers.reduce((sum, answer) => sum + answer.length, 0) / request.length;
}

describe("what anybody can make us send", () => {
  const client = new World().client();
  const bare = client.request("binding");

  test.each<[string, Uint8Array]>([
    ["bare", encode(bare)],
    ["with FINGERPRINT", encode(bare, { fingerprint: true })],
    ["with SOFTWARE", encode({ ...bare, attributes: { software: "x" } })],
    ["with an unknown attribute", encode({ ...bare, attributes: { dontFragment: true } })],
    [
      "with an unknown attribute and FINGERPRINT",
      encode({ ...bare, attributes: { useCandidate: true } }, { fingerprint: true }),
    ],
    ["classic", encode({ ...bare, classic: true, transactionId: new Uint8Array(16) })],
  ])("for Binding, %s, is at most 1.6 times its request", (_, request) => {
    expect(growth(request)).toBeGreaterThan(0);
    expect(growth(request)).toBeLessThanOrEqual(1.6);
  });

  test("for Binding over IPv6 is the header and the address, without FINGERPRINT", () => {
    expect(growth(encode(bare), "2001:db8::7") * 20).toBe(44);
    expect(growth(encode(bare, { fingerprint: true }), "2001:db8::7")).toBeLessThanOrEqual(1.6);
  });

  const contents: readonly Attributes[] = [
    {},
    udp,
    { lifetime: 0 },
    { xorPeerAddress: [peer] },
    { dontFragment: true },
    { software: "x" },
  ];
  const requests = (["allocate", "refresh", "createPermission", "channelBind"] as const).flatMap((method) =>
    contents.flatMap((attributes) =>
      [false, true].map((fingerprint) => ({
        what: [method, ...Object.keys(attributes), ...(fingerprint ? ["FINGERPRINT"] : [])].join(" with "),
        bytes: encode(client.request(method, attributes), { fingerprint }),
      })),
    ),
  );

  test.each(requests)("for $what is at most 2.5 times its request", ({ bytes }) => {
    expect(growth(bytes)).toBeGreaterThan(0);
    expect(growth(bytes)).toBeLessThanOrEqual(2.5);
  });

  test("with a realm of sixteen bytes still is, for the smallest Allocate request there is", () => {
    const request = encode({ ...bare, method: Method.allocate, attributes: udp });
    const [answer] = new World({ realm: "relay.example.de" }).client().sends(request);
    expect((answer?.length ?? 0) / request.length).toBeLessThanOrEqual(2.5);
  });
});
