// First Allocates that a plane answers by itself: when the machine lets it. What it answers is in native-judge.test.ts.

import { describe, expect, test } from "vitest";
import type { Action, Banned, Order } from "../../src/contract.ts";
import { decode } from "../../src/stun/message.ts";
import { World, type WorldOptions } from "./world.ts";

const challenging = {
  abilities: {
    movesAmong: [
      ["udp", "dtls"],
      ["tcp", "tls"],
    ],
    dontFragment: [],
    challenges: true,
  },
} as const;
const elsewhere = {
  at: [{ transport: "udp", at: { address: "203.0.113.1", port: 3478 } }],
  weight: 1,
} as const;
const here: Banned = { network: "198.51.100.0/24" };

function worldOf(options: WorldOptions = {}): World {
  return new World({ ...challenging, ...options });
}

/** Whether the plane is told to begin, or to end, or nothing. */
function toldIn(actions: readonly Action[]): readonly boolean[] {
  return actions.flatMap((action) => (action.do === "challenge" ? [action.by !== undefined] : []));
}

function ordered(world: World, order: Order): Action[] {
  return world.hears({ is: "ordered", order });
}

describe("the challenges of strangers", () => {
  test("are left to a plane that can, once and for all", () => {
    const world = worldOf();
    expect(toldIn(world.passes(1))).toEqual([true]);
    expect(toldIn(world.passes(5))).toEqual([]);
  });

  test.each([
    ["a plane that cannot", { abilities: { movesAmong: [["udp", "dtls", "tcp", "tls"]], dontFragment: [] } }],
    ["a server of STUN alone", { relays: false }],
    [
      "a server that sends clients elsewhere",
      { alternates: { servers: [elsewhere], when: "full", isOurs: () => false } },
    ],
  ] satisfies [string, WorldOptions][])("are not left to %s", (_, options) => {
    expect(toldIn(worldOf(options).passes(3))).toEqual([]);
  });

  test("are the machine's again before anything else for as long as a network is banned", () => {
    const world = worldOf();
    world.passes(1);
    expect(toldIn(ordered(world, { order: "ban", whom: { user: "alice" }, until: world.now + 9000 }))).toEqual([]);
    const actions = ordered(world, { order: "ban", whom: here, until: world.now + 3000 });
    expect(actions[0]).toEqual({ do: "challenge", by: undefined });
    expect(toldIn(world.passes(2))).toEqual([]);
    expect(toldIn(world.passes(1))).toEqual([true]);
  });

  test("are left to the plane again when the ban is lifted", () => {
    const world = worldOf();
    world.passes(1);
    ordered(world, { order: "ban", whom: here, until: world.now + 60_000 });
    expect(toldIn(ordered(world, { order: "lift", whom: here }))).toEqual([true]);
  });

  test("are told with answers that are whole but for what is the client's, the fullest first", () => {
    const [action] = worldOf().passes(1);
    if (action?.do !== "challenge" || !action.by) throw new Error("no challenge");
    const answers = action.by.answers.map(({ bytes }) => decode(bytes));
    expect(answers.map((answer) => answer?.attributes.errorCode?.code)).toEqual([401, 401, 401]);
    expect(answers.map((answer) => answer?.attributes.passwordAlgorithms !== undefined)).toEqual([true, false, false]);
    for (const { bytes, stampAt } of action.by.answers) {
      expect(Buffer.from(bytes).toString("latin1", stampAt, stampAt + 15)).toBe("A".repeat(15));
    }
  });
});
