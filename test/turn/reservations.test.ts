import { describe, expect, test } from "vitest";
import { codeOf, World } from "./world.ts";

const udp = { requestedTransport: 17 };
const pair = { ...udp, evenPort: { reservesNext: true } };

/** A world in which alice has an allocation and the port above it reserved. */
function reserved() {
  const world = new World();
  const client = world.client();
  const { xorRelayedAddress: [relayed] = [], reservationToken } = client.asks("allocate", pair).attributes;
  if (!relayed || !reservationToken) throw new Error("no reservation");
  return { world, client, relayed, reservationToken };
}

describe("EVEN-PORT", () => {
  test("is answered with an even port, and no token", () => {
    for (const port of [5000, 5001]) {
      const world = new World();
      if (port % 2) world.newSocketId();
      const answer = world.client().asks("allocate", { ...udp, evenPort: { reservesNext: false } });
      expect((answer.attributes.xorRelayedAddress?.[0]?.port ?? 1) % 2).toBe(0);
      expect(answer.attributes.reservationToken).toBeUndefined();
    }
  });

  test("with R keeps the port above for whoever of the same user has the token", () => {
    const { world, relayed, reservationToken } = reserved();
    const second = world.client("198.51.100.8");
    const answer = second.asks("allocate", { ...udp, reservationToken });
    expect(answer.attributes.xorRelayedAddress).toEqual([{ ...relayed, port: relayed.port + 1 }]);
    expect(world.relays.size).toBe(2);
    expect(world.actions[0]).toMatchObject({ do: "assign-relay", via: second.tuple.via });
  });

  test("is refused with 508, and leaves nothing open, if the port above is not to be had", () => {
    const world = new World();
    const client = world.client();
    client.fetchNonce();
    world.opensAtOnce = false;
    client.sends(client.sign(client.request("allocate", pair)));
    const [first = 0] = world.opening.splice(0);
    expect(world.opens(first).filter((action) => action.do === "send")).toEqual([]);
    const [next = 0] = world.opening.splice(0);
    world.hears({ is: "relay-failed", relay: next, why: "exhausted" });
    expect(world.facts.at(-1)).toMatchObject({ fact: "answered", code: 508 });
    expect(world.relays.size).toBe(0);
    world.opensAtOnce = true;
    expect(codeOf(client.asks("allocate", udp))).toBe(0);
  });

  test("leaves nothing open if the client hangs up before the port above is open", () => {
    const world = new World();
    const client = world.client("198.51.100.7", { transport: "tcp" });
    client.fetchNonce();
    world.opensAtOnce = false;
    client.sends(client.sign(client.request("allocate", pair)));
    world.opens(world.opening.splice(0)[0] ?? 0);
    world.hears({ is: "hung-up", via: client.tuple.via });
    world.opens(world.opening.splice(0)[0] ?? 0);
    expect(world.relays.size).toBe(0);
  });
});

describe("a reservation", () => {
  test("ends after 30 seconds, and its port is closed", () => {
    const { world, reservationToken } = reserved();
    world.passes(29);
    expect(world.relays.size).toBe(2);
    world.passes(2);
    expect(world.relays.size).toBe(1);
    expect(codeOf(world.client("198.51.100.8").asks("allocate", { ...udp, reservationToken }))).toBe(508);
  });

  test("is good once, and a retransmission of what used it has the same answer", () => {
    const { world, reservationToken } = reserved();
    const second = world.client("198.51.100.8");
    second.fetchNonce();
    const bytes = second.sign(second.request("allocate", { ...udp, reservationToken }));
    const [answer] = second.sends(bytes);
    expect(second.sends(bytes)).toEqual([answer]);
    expect(codeOf(world.client("198.51.100.9").asks("allocate", { ...udp, reservationToken }))).toBe(508);
  });

  test.each(["udp", "tcp"] as const)("made over %s is of no use over the other transport", (transport) => {
    const world = new World();
    const { reservationToken } = world.client("198.51.100.7", { transport }).asks("allocate", pair).attributes;
    const [other, same] = transport === "udp" ? (["tcp", "udp"] as const) : (["udp", "tcp"] as const);
    const taking = { ...udp, reservationToken };
    expect(codeOf(world.client("198.51.100.8", { transport: other }).asks("allocate", taking))).toBe(508);
    expect(codeOf(world.client("198.51.100.9", { transport: same }).asks("allocate", taking))).toBe(0);
  });

  test("is of no use to another user, nor is a token that nobody was given", () => {
    const { world, reservationToken } = reserved();
    const bob = world.client("198.51.100.8", { user: "bob" });
    expect(codeOf(bob.asks("allocate", { ...udp, reservationToken }))).toBe(508);
    const guess = Buffer.from(reservationToken);
    guess.writeUInt8(guess.readUInt8(7) ^ 1, 7);
    expect(codeOf(world.client("198.51.100.9").asks("allocate", { ...udp, reservationToken: guess }))).toBe(508);
  });

  test.each([
    ["EVEN-PORT", { evenPort: { reservesNext: false } }],
    ["REQUESTED-ADDRESS-FAMILY", { requestedAddressFamily: 4 }],
  ] as const)("is refused with 400 beside %s", (_, attributes) => {
    const { world, reservationToken } = reserved();
    const second = world.client("198.51.100.8");
    expect(codeOf(second.asks("allocate", { ...udp, reservationToken, ...attributes }))).toBe(400);
  });

  test("counts: no user has more of them than of allocations", () => {
    const world = new World({ limits: { allocationsPerUser: 2 } });
    for (const host of [1, 2]) {
      const client = world.client(`198.51.100.${host}`);
      expect(codeOf(client.asks("allocate", pair))).toBe(0);
      expect(codeOf(client.asks("refresh", { lifetime: 0 }))).toBe(0);
    }
    expect(world.relays.size).toBe(2);
    const third = world.client("198.51.100.3");
    expect(codeOf(third.asks("allocate", pair))).toBe(486);
    expect(codeOf(third.asks("allocate", udp))).toBe(0);
    world.passes(31);
    expect(codeOf(world.client("198.51.100.4").asks("allocate", pair))).toBe(0);
  });
});
