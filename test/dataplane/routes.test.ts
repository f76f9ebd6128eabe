import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Endpoint, Framing, Leg, Millis, Route, SocketId } from "../../src/contract.ts";
import { judgeAtListener, judgeAtRelay, RouteTable, type Verdict } from "../../src/dataplane/routes.ts";
import { anyPort, channelData } from "./rig.ts";

/** The rule as a list of routes and one line a question: slow, and plain to see. */
class Model {
  #routes: readonly Route[] = [];

  route(legs: Route): void {
    this.#routes = [...this.#routes.filter((held) => !arrivals(held).some((leg) => claims(legs, leg))), legs];
  }

  unroute(legs: Route): void {
    this.#routes = this.#routes.filter((held) => !isSame(held[0], legs[0]) || !isSame(held[1], legs[1]));
  }

  forget(socket: SocketId): void {
    this.#routes = this.#routes.filter((held) => held[0].socket !== socket && held[1].socket !== socket);
  }

  /** The leg on which a packet leaves. */
  at(socket: SocketId, peer: Endpoint, framing: Framing, now: Millis): Leg | undefined {
    const arrival: Leg = { socket, peer, framing, until: 0 };
    const route = this.#routes.find((held) => claims(held, arrival) && held.every((leg) => now < leg.until));
    return route && (isSame(route[0], arrival) ? route[1] : route[0]);
  }

  get size(): number {
    return this.#routes.length;
  }

  alive(now: Millis): number {
    return this.#routes.filter((held) => held.every((leg) => now < leg.until)).length;
  }
}

function arrivals(legs: Route): readonly Leg[] {
  return legs.filter((leg) => leg.framing !== "indication");
}

function claims(legs: Route, arrival: Leg): boolean {
  return arrivals(legs).some((leg) => isSame(leg, arrival));
}

function isSame(one: Leg, other: Leg): boolean {
  const key = ({ socket, peer, framing }: Leg) => `${socket} ${peer.address} ${peer.port} ${framing}`;
  return key(one) === key(other);
}

/** Few of each, so that they meet. */
const addresses = ["192.0.2.1", "192.0.2.2", "2001:db8::1"];
const ports = [1, 9, 65_535];
const framings: readonly Framing[] = ["bare", "indication", 0x4000, 0x4001, 0x7fff];
const arriving = framings.filter((framing) => framing !== "indication");
const sockets = { listeners: [1, 2], relays: [3, 4] };

const endpointOf = (allowed: readonly number[]) =>
  fc.record({ address: fc.constantFrom(...addresses), port: fc.constantFrom(...allowed) });
const until = fc.integer({ min: 1, max: 100 });
const clientLeg: fc.Arbitrary<Leg> = fc.record({
  socket: fc.constantFrom(...sockets.listeners),
  peer: endpointOf(ports),
  framing: fc.constantFrom(...framings),
  until,
});
const peerLeg: fc.Arbitrary<Leg> = fc.record({
  socket: fc.constantFrom(...sockets.relays),
  peer: endpointOf([0, ...ports]),
  framing: fc.constant<Framing>("bare"),
  until,
});
const route: fc.Arbitrary<Route> = fc.tuple(clientLeg, peerLeg);

/** What can be done to a table or its model. */
type Step = (table: Pick<RouteTable, "route" | "unroute" | "forget">) => void;

const routes = route.map(
  (legs): Step =>
    (table) =>
      table.route(legs),
);
const unroutes = route.map(
  (legs): Step =>
    (table) =>
      table.unroute(legs),
);
const forgets = fc.integer({ min: 1, max: 4 }).map(
  (socket): Step =>
    (table) =>
      table.forget(socket),
);
const step = fc.record({
  act: fc.oneof(
    { weight: 6, arbitrary: routes },
    { weight: 2, arbitrary: unroutes },
    { weight: 1, arbitrary: forgets },
  ),
  passed: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.integer({ min: 0, max: 30 }) }),
  expires: fc.boolean(),
});

function legOf(verdict: Verdict | "hand-up"): Leg | undefined {
  return typeof verdict === "string" ? undefined : verdict.way.to;
}

const everyEndpoint: readonly Endpoint[] = addresses.flatMap((address) => ports.map((port) => ({ address, port })));

/** Where a packet sent to each listener and relay port would leave, by the table and by the model. */
function answers(
  table: RouteTable,
  model: Model,
  now: Millis,
): readonly (readonly [Leg | undefined, Leg | undefined])[] {
  const payload = Buffer.from([0x80, 1]);
  return everyEndpoint.flatMap((from) => [
    ...sockets.listeners.flatMap((listener) =>
      arriving.map((framing) => {
        const bytes = framing === "bare" ? payload : channelData(framing, payload);
        const leg = legOf(judgeAtListener(table, listener, from, bytes, now));
        return [leg, model.at(listener, from, framing, now)] as const;
      }),
    ),
    ...sockets.relays.map((relay) => {
      const leg = legOf(judgeAtRelay(table, relay, from, payload, now));
      return [leg, model.at(relay, from, "bare", now) ?? model.at(relay, anyPort(from), "bare", now)] as const;
    }),
  ]);
}

describe("the route table", () => {
  test("agrees with a plain list of routes, whatever happens to it", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const table = new RouteTable(() => true);
        const model = new Model();
        let now = 0;
        for (const { act, passed, expires } of steps) {
          act(table);
          act(model);
          now += passed;
          if (expires) table.expire(now);
          expect(answers(table, model, now).filter(([one, other]) => one !== other)).toEqual([]);
          expect(table.size).toBeGreaterThanOrEqual(model.alive(now));
          expect(table.size).toBeLessThanOrEqual(model.size);
        }
      }),
      { numRuns: 100 },
    );
  });

  test("keeps nothing of routes that have ended, in whatever way they did", () => {
    const ending = fc.constantFrom<(table: RouteTable, legs: Route) => void>(
      (table, legs) => table.unroute(legs),
      (table, legs) => table.forget(legs[0].socket),
      (table, legs) => table.forget(legs[1].socket),
      (table) => table.expire(2000),
    );
    fc.assert(
      fc.property(fc.array(route), ending, (all, end) => {
        const table = new RouteTable(() => true);
        for (const legs of all) table.route(legs);
        for (const legs of all) end(table, legs);
        expect(table.size).toBe(0);
        for (const socket of [...sockets.listeners, ...sockets.relays]) expect(table.has(socket)).toBe(false);
      }),
    );
  });

  test("asks whether packets may leave once a route, about the legs on which they can", () => {
    const asked: Leg[] = [];
    const table = new RouteTable((to) => {
      asked.push(to);
      return to.socket !== 3;
    });
    const client: Leg = { socket: 1, peer: { address: "192.0.2.1", port: 1 }, framing: "indication", until: 10 };
    const peer: Leg = { socket: 3, peer: { address: "192.0.2.2", port: 0 }, framing: "bare", until: 10 };
    table.route([client, peer]);
    expect(asked).toEqual([client]);

    const channel: Leg = { ...client, framing: 0x4000 };
    const exact: Leg = { ...peer, peer: { ...peer.peer, port: 9 } };
    table.route([channel, exact]);
    expect(table.find(1, "192.0.2.1", 1, 0x4000, 0)).toMatchObject({ to: exact, mayLeave: false });
    expect(table.find(3, "192.0.2.2", 9, "bare", 0)).toMatchObject({ to: channel, mayLeave: true });
    expect(asked).toHaveLength(3);
  });
});

describe("the verdict", () => {
  const table = new RouteTable(() => true);
  const from = { address: "192.0.2.1", port: 5000 };

  test.each<[string, Buffer, Verdict | "hand-up"]>([
    ["an empty datagram", Buffer.alloc(0), "malformed"],
    ["half a header of ChannelData", Buffer.from([0x40, 0, 0]), "malformed"],
    ["ChannelData shorter than it says", Buffer.from([0x40, 0, 0, 1]), "malformed"],
    ["ChannelData of the first number", channelData(0x4000, "x"), "no-channel"],
    [
      "ChannelData of the last number, padded",
      Buffer.concat([channelData(0x7fff, "x"), Buffer.alloc(3)]),
      "no-channel",
    ],
    ["RTP", Buffer.from([0x80, 0, 0, 1]), "malformed"],
    ["DTLS", Buffer.alloc(60, 22), "malformed"],
    ["a STUN header alone", Buffer.alloc(20), "hand-up"],
    ["STUN that says it is longer", Buffer.from([0, 1, 0, 4, ...new Uint8Array(16)]), "malformed"],
  ])("on %s", (_, bytes, verdict) => {
    expect(judgeAtListener(table, 1, from, bytes, 0)).toBe(verdict);
  });

  test("on anything from port 0, which nobody can answer, is that it is malformed", () => {
    const nobody = { ...from, port: 0 };
    const permitted = new RouteTable(() => true);
    permitted.route([
      { socket: 1, peer: from, framing: "indication", until: 10 },
      { socket: 3, peer: nobody, framing: "bare", until: 10 },
    ]);
    expect(judgeAtListener(permitted, 1, nobody, Buffer.alloc(20), 0)).toBe("malformed");
    expect(judgeAtRelay(permitted, 3, nobody, Buffer.alloc(20), 0)).toBe("malformed");
  });
});
