import { describe, expect, test } from "vitest";
import { attributeTable } from "../../src/stun/attributes.ts";
import { decode, encode } from "../../src/stun/message.ts";
import { codeOf, World } from "./world.ts";

const udp = { requestedTransport: 17 };

describe("Allocate", () => {
  test("is challenged, then gives a relayed address, the client's own and a lifetime", () => {
    const world = new World({ software: "Sluice" });
    const client = world.client();

    const challenge = client.asksBare("allocate", udp);
    expect(challenge).toMatchObject({ class: "error", attributes: { errorCode: { code: 401 }, realm: "example.org" } });
    client.nonce = challenge.attributes.nonce ?? "";

    const answer = client.asks("allocate", udp);
    expect(answer).toMatchObject({
      class: "success",
      attributes: {
        xorRelayedAddress: [{ address: "192.0.2.1", port: expect.any(Number) }],
        xorMappedAddress: { address: "198.51.100.7", port: 5000 },
        lifetime: 600,
        software: "Sluice",
      },
    });
    expect(world.relays.size).toBe(1);
  });

  test("asks the plane for a port of the right family on behalf of the client, and answers when it is open", () => {
    const world = new World();
    world.opensAtOnce = false;
    const client = world.client();
    client.fetchNonce();
    expect(client.sends(client.sign(client.request("allocate", { ...udp, requestedAddressFamily: 6 })))).toEqual([]);
    const [relay = 0] = world.opening;
    const { via, from } = client.tuple;
    expect(world.actions).toEqual([
      { do: "open-relay", relay, family: 6, via, client: from, transport: "udp", limits: [] },
    ]);

    world.opens(relay, { address: "2001:db8::1", port: 50_000 });
    const [action] = world.actions;
    if (action?.do !== "send") throw new Error("no answer");
    expect(action).toMatchObject({ via: client.tuple.via, to: client.tuple.from });
    expect(decode(action.bytes)?.attributes.xorRelayedAddress).toEqual([{ address: "2001:db8::1", port: 50_000 }]);
  });

  test.each([
    [undefined, 600],
    [0, 600],
    [1, 600],
    [600, 600],
    [601, 601],
    [3600, 3600],
    [3601, 3600],
    [0xffffffff, 3600],
  ])("with a LIFETIME of %s lives for %s seconds", (lifetime, granted) => {
    const world = new World();
    const client = world.client();
    const answer = client.asks("allocate", { ...udp, lifetime });
    expect(answer.attributes.lifetime).toBe(granted);
    world.passes(granted - 1);
    expect(world.relays.size).toBe(1);
    world.passes(1);
    expect(world.relays.size).toBe(0);
  });

  test("gives the same answer to a retransmission, byte for byte", () => {
    const world = new World();
    const client = world.client();
    client.fetchNonce();
    const request = client.sign(client.request("allocate", udp));
    const [first] = client.sends(request);
    world.passes(2);
    expect(client.sends(request)).toEqual([first]);
    expect(world.relays.size).toBe(1);
  });

  test("is answered once, when the port is open, however often it was sent before", () => {
    const world = new World();
    world.opensAtOnce = false;
    const client = world.client();
    client.fetchNonce();
    const request = client.sign(client.request("allocate", udp));
    for (let i = 0; i < 3; i++) expect(client.sends(request)).toEqual([]);
    expect(world.opening).toHaveLength(1);
    world.opens(world.opening[0] ?? 0);
    expect(world.actions.filter((action) => action.do === "send")).toHaveLength(1);
  });

  test("is refused with 437 on a five-tuple that has an allocation, or is getting one", () => {
    const world = new World();
    world.opensAtOnce = false;
    const client = world.client();
    client.fetchNonce();
    client.sends(client.sign(client.request("allocate", udp)));
    expect(codeOf(client.asks("allocate", udp))).toBe(437);
    world.opens(world.opening[0] ?? 0);
    expect(codeOf(client.asks("allocate", udp))).toBe(437);
  });

  test("is possible again once the allocation is over, even before the clock has ticked", () => {
    const world = new World();
    const client = world.client();
    const first = client.allocates();
    world.now += 600_000;
    client.nonce = "";
    const second = client.allocates();
    expect(second).not.toEqual(first);
    expect([...world.relays.values()]).toEqual([second]);
    expect(world.facts).toContainEqual(expect.objectContaining({ fact: "allocation-closed", why: "expired" }));
  });

  test("is refused with 400 without REQUESTED-TRANSPORT, and with 442 for another one than UDP", () => {
    const client = new World().client();
    expect(codeOf(client.asks("allocate", { requestedAddressFamily: 4 }))).toBe(400);
    expect(codeOf(client.asks("allocate", { requestedTransport: 6 }))).toBe(442);
    expect(codeOf(client.asks("allocate", { requestedTransport: 0 }))).toBe(442);
  });

  test("is refused with 400 where an attribute is malformed", () => {
    const client = new World().client();
    client.fetchNonce();
    const broken = client.sign(client.request("allocate", { ...udp, lifetime: 600 }));
    const at = Buffer.from(broken).indexOf(Buffer.from([0x00, 0x0d, 0x00, 0x04]));
    broken.set([0x00, 0x0d, 0x00, 0x03], at);
    expect(codeOf(client.hearsBack(client.seal(broken)))).toBe(400);
  });

  test("is refused with 400, and no challenge, if its attributes run past its end", () => {
    const client = new World().client();
    const bytes = Buffer.from(encode(client.request("allocate", { ...udp, lifetime: 600 })));
    bytes.writeUInt16BE(42, 30);
    expect(client.hearsBack(bytes).attributes).toEqual({ errorCode: { code: 400, reason: "" } });
  });

  test("is refused with 440 for a family that there is no relayed address of", () => {
    const fourOnly = new World({ families: [4] }).client();
    expect(codeOf(fourOnly.asks("allocate", { ...udp, requestedAddressFamily: 6 }))).toBe(440);
    const sixOnly = new World({ families: [6] }).client();
    expect(codeOf(sixOnly.asks("allocate", udp))).toBe(440);
    expect(codeOf(sixOnly.asks("allocate", { ...udp, requestedAddressFamily: 6 }))).toBe(0);
  });

  test.each([
    ["DONT-FRAGMENT", { dontFragment: true }, 0x1a],
    ["ACCESS-TOKEN", { accessToken: new Uint8Array(8) }, 0x1b],
  ] as const)("is refused with 420 for %s, which we do not do", (_, attributes, type) => {
    const answer = new World().client().asks("allocate", { ...udp, ...attributes });
    expect(answer.attributes).toEqual({
      errorCode: { code: 420, reason: "Unknown Attribute" },
      unknownAttributes: [type],
      messageIntegrity: expect.anything(),
    });
  });

  test.each([
    ["exhausted", 508],
    ["no-such-family", 440],
  ] as const)("is refused when the plane says %s, with %i", (why, code) => {
    const world = new World({ limits: { allocations: 1 } });
    world.opensAtOnce = false;
    const client = world.client();
    client.fetchNonce();
    client.sends(client.sign(client.request("allocate", udp)));
    world.hears({ is: "relay-failed", relay: world.opening.splice(0)[0] ?? 0, why });
    const [action] = world.actions;
    if (action?.do !== "send") throw new Error("no answer");
    expect(decode(action.bytes)?.attributes.errorCode?.code).toBe(code);

    world.opensAtOnce = true;
    expect(codeOf(client.asks("allocate", udp)), "the failed one counts no more").toBe(0);
  });

  test("lives from when its port is open", () => {
    const world = new World();
    world.opensAtOnce = false;
    const client = world.client();
    client.fetchNonce();
    client.sends(client.sign(client.request("allocate", udp)));
    world.passes(5);
    world.opens(world.opening[0] ?? 0);
    world.passes(599);
    expect(world.relays.size).toBe(1);
    world.passes(1);
    expect(world.relays.size).toBe(0);
  });

  test("is not answered to a client who has hung up before the port failed to open", () => {
    const world = new World();
    world.opensAtOnce = false;
    const client = world.client("198.51.100.7", { transport: "tcp" });
    client.fetchNonce();
    client.sends(client.sign(client.request("allocate", udp)));
    world.hears({ is: "hung-up", via: client.tuple.via });
    expect(world.hears({ is: "relay-failed", relay: world.opening[0] ?? 0, why: "exhausted" })).toEqual([]);
  });

  test("closes a port that was opened for a client who has hung up meanwhile", () => {
    const world = new World({ limits: { allocations: 1 } });
    world.opensAtOnce = false;
    const client = world.client("198.51.100.7", { transport: "tcp" });
    client.fetchNonce();
    client.sends(client.sign(client.request("allocate", udp)));
    const [relay = 0] = world.opening.splice(0);
    expect(world.hears({ is: "hung-up", via: client.tuple.via })).toEqual([]);
    expect(world.opens(relay)).toEqual([{ do: "close-relay", relay }]);

    world.opensAtOnce = true;
    world.client().allocates();
  });

  test("forgets a request whose port is never opened", () => {
    const world = new World({ limits: { allocations: 1 } });
    world.opensAtOnce = false;
    const client = world.client();
    client.fetchNonce();
    client.sends(client.sign(client.request("allocate", udp)));
    world.passes(600);
    world.opening.length = 0;
    world.opensAtOnce = true;
    world.client("198.51.100.8").allocates();
  });

  test("leaves relay ports alone that are not its own", () => {
    const world = new World();
    expect(world.hears({ is: "relay-opened", relay: 77, at: { address: "192.0.2.1", port: 1 } })).toEqual([]);
    expect(world.hears({ is: "relay-failed", relay: 77, why: "exhausted" })).toEqual([]);
    expect(world.hears({ is: "hung-up", via: 77 })).toEqual([]);
  });

  test("ends with its connection", () => {
    const world = new World();
    const client = world.client("198.51.100.7", { transport: "tcp" });
    client.allocates();
    const [relay] = world.relays.keys();
    world.hears({ is: "hung-up", via: client.tuple.via });
    expect(world.actions).toEqual([{ do: "close-relay", relay }]);
    expect(world.facts.at(-1)).toEqual({ fact: "allocation-closed", relay, user: "alice", why: "hung-up" });
    expect(world.passes(600)).toEqual([]);
  });

  test("reports what it opens and what it closes", () => {
    const world = new World();
    const client = world.client("198.51.100.7", { transport: "tcp", user: "bob" });
    const relayed = client.allocates();
    const [relay] = world.relays.keys();
    expect(world.facts.slice(-2)).toEqual([
      { fact: "allocation-opened", relay, user: "bob", transport: "tcp", client: client.tuple.from, relayed },
      { fact: "answered", method: "Allocate", code: 0, transport: "tcp", client: client.tuple.from, user: "bob" },
    ]);
    world.passes(600);
    expect(world.facts.at(-1)).toEqual({ fact: "allocation-closed", relay, user: "bob", why: "expired" });
  });

  test("keeps allocations of one address on different ports, listeners and transports apart", () => {
    const world = new World();
    const relayed = [
      world.client("198.51.100.7", { port: 1 }).allocates(),
      world.client("198.51.100.7", { port: 2 }).allocates(),
      world.client("198.51.100.7", { port: 1, transport: "tcp" }).allocates(),
      world.client("198.51.100.8", { port: 1 }).allocates(),
    ];
    expect(new Set(relayed.map((at) => at.port)).size).toBe(4);
  });

  test("carries SOFTWARE only where it is configured", () => {
    expect(new World().client().asks("allocate", udp).types).not.toContain(attributeTable.software.type);
  });
});
