// The judge in C++ against the rule in routes.ts, on random routes and packets; and what it writes by itself, against
// the codec and the TURN server.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Endpoint, Framing, Leg, Millis } from "../../src/contract.ts";
import { Framer } from "../../src/dataplane/framing.ts";
import {
  type Addon,
  loadAddon,
  maxListeners,
  type NativeLeg,
  type NativeVerdict,
  noOwnAddress,
} from "../../src/dataplane/native-addon.ts";
import { judgeAtListener, judgeAtRelay, RouteTable, type Way } from "../../src/dataplane/routes.ts";
import { writeChannelData } from "../../src/stun/channel-data.ts";
import { decode, encode } from "../../src/stun/message.ts";
import { Method } from "../../src/stun/methods.ts";
import type { TurnServer } from "../../src/turn/server.ts";
import { World, type WorldOptions } from "../turn/world.ts";
import { obstacleToNative } from "./native-obstacle.ts";

/** In the order of `Fate` and `Drop` in judge.h. */
const fates = ["forward", "forward-send", "answer", "challenge", "hand-up", "drop"] as const;
const drops = [
  "no-channel",
  "no-permission",
  "forbidden-peer",
  "malformed",
  "limited",
  "congested",
  "flooded",
] as const;

const listeners = [0, 1];
const relays = [maxListeners, maxListeners + 1, maxListeners + 2];
/** The last begins like the first, and goes on with zeros. */
const addresses = ["192.0.2.1", "192.0.2.2", "2001:db8::1", "c000:201::"];

const address = fc.constantFrom(...addresses);
const port = fc.constantFrom(0, 1, 2, 65_535);
const end = fc.record({ address, port });
const channel = fc.constantFrom(0x4000, 0x4001, 0x7fff);
const until = fc.integer({ min: 0, max: 20 });

const clientLeg = fc.record<Leg>({
  socket: fc.constantFrom(...listeners, ...relays),
  peer: end,
  framing: fc.oneof(channel, fc.constant<Framing>("bare"), fc.constant<Framing>("indication")),
  until,
});
const peerLeg = fc.record<Leg>({ socket: fc.constantFrom(...relays), peer: end, framing: fc.constant("bare"), until });
const route = fc.tuple(clientLeg, peerLeg);

const payload = fc.uint8Array({ maxLength: 8 });
const transactionId = fc.uint8Array({ minLength: 12, maxLength: 12 });
const fingerprint = fc.boolean();

const channelData = fc.tuple(channel, payload, fc.nat(5)).map(([number, data, padding]) => {
  return Buffer.concat([writeChannelData(number, data), Buffer.alloc(padding)]);
});
const sendIndication = fc
  .record({ peer: end, data: payload, transactionId, fingerprint, software: fc.boolean(), dontFragment: fc.boolean() })
  .map(({ peer, data, transactionId, fingerprint, software, dontFragment }) =>
    encode(
      {
        class: "indication",
        method: Method.send,
        transactionId,
        attributes: {
          xorPeerAddress: [peer],
          data,
          ...(software ? { software: "test" } : {}),
          ...(dontFragment ? { dontFragment } : {}),
        },
      },
      { fingerprint },
    ),
  );
const bindingRequest = fc
  .record({ transactionId, fingerprint, software: fc.boolean(), username: fc.boolean() })
  .map(({ transactionId, fingerprint, software, username }) =>
    encode(
      {
        class: "request",
        method: Method.binding,
        transactionId,
        attributes: { ...(software ? { software: "test" } : {}), ...(username ? { username: "somebody" } : {}) },
      },
      { fingerprint },
    ),
  );
/** Also with what credentials consist of, and with a wrong integrity. */
const allocateRequest = fc
  .record({ transactionId, fingerprint, key: fc.constantFrom(undefined, undefined, undefined, new Uint8Array(16)) })
  .chain(({ transactionId, fingerprint, key }) =>
    fc
      .record(
        {
          requestedTransport: fc.constant(17),
          lifetime: fc.nat(9999),
          dontFragment: fc.constant(true as const),
          username: fc.string({ maxLength: 9 }),
          realm: fc.constant("example.org"),
          software: fc.string({ maxLength: 20 }),
          data: fc.uint8Array({ maxLength: 9 }),
          xorPeerAddress: fc.tuple(end),
        },
        { requiredKeys: [] },
      )
      .map((attributes) =>
        encode({ class: "request", method: Method.allocate, transactionId, attributes }, { key, fingerprint }),
      ),
  );
const wellFormed = fc.oneof(channelData, sendIndication, bindingRequest, allocateRequest);
/** One byte changed, one end cut off or one byte more. */
const damaged = fc
  .tuple(wellFormed, fc.nat(), fc.nat(255), fc.constantFrom(0, 0, -1, 1))
  .map(([bytes, at, byte, more]) => {
    const changed = Buffer.from(bytes);
    if (changed.length > 0) changed[at % changed.length] = byte;
    return more > 0
      ? Buffer.concat([changed, Buffer.alloc(more)])
      : changed.subarray(0, Math.max(0, changed.length + more));
  });
const packet = fc.oneof(wellFormed, damaged, fc.uint8Array({ maxLength: 40 }));

interface Arrival {
  readonly at: number;
  readonly from: Endpoint;
  readonly bytes: Uint8Array;
}

type Step =
  | { readonly route: readonly [Leg, Leg]; readonly mayLeave: boolean }
  | { readonly unroute: readonly [Leg, Leg] }
  | { readonly expect: Endpoint; readonly at: number; readonly until: Millis }
  | { readonly forget: number }
  | { readonly now: Millis }
  | Arrival;

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ route, mayLeave: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ unroute: route }) },
  { weight: 1, arbitrary: fc.record({ expect: end, at: fc.constantFrom(...listeners), until }) },
  { weight: 1, arbitrary: fc.record({ forget: fc.constantFrom(...relays) }) },
  { weight: 1, arbitrary: fc.record({ now: fc.nat(20) }) },
  { weight: 8, arbitrary: fc.record({ at: fc.constantFrom(...listeners, ...relays), from: end, bytes: packet }) },
);

/** Both judges, asked the same. */
class Pair {
  readonly #addon = loadAddon();
  readonly #native = new this.#addon.Judge(64, relays.length, 7);
  #mayLeave = true;
  readonly #table = new RouteTable((to) => listeners.includes(to.socket) || this.#mayLeave);
  #now = 0;

  take(step: Step): void {
    if ("route" in step) this.#route(step.route, step.mayLeave);
    else if ("unroute" in step) {
      this.#table.unroute(step.unroute);
      this.#native.unroute(...argumentsOf(step.unroute[0], true), ...argumentsOf(step.unroute[1], true));
    } else if ("expect" in step) {
      this.#table.expected.expect(step.at, step.expect, step.until);
      const { address, port } = step.expect;
      expect(this.#native.expect(step.at, address, port, step.until, this.#now)).toBe(true);
    } else if ("forget" in step) {
      this.#table.forget(step.forget);
      this.#native.forget(step.forget);
    } else if ("now" in step) this.#now = Math.max(this.#now, step.now);
    else expect(this.#nativeVerdict(step)).toEqual(this.#verdict(step));
  }

  #route([client, peer]: readonly [Leg, Leg], mayLeave: boolean): void {
    this.#mayLeave = mayLeave;
    this.#table.route([client, peer]);
    const legs = [
      argumentsOf(client, listeners.includes(client.socket) || mayLeave),
      argumentsOf(peer, mayLeave),
    ] as const;
    const hasRoom = this.#native.route(...legs[0], ...legs[1], Math.min(client.until, peer.until), this.#now);
    expect(hasRoom).toBe(true);
  }

  #verdict({ at, from, bytes }: Arrival): unknown {
    const verdict = listeners.includes(at)
      ? judgeAtListener(this.#table, at, from, bytes, this.#now)
      : judgeAtRelay(this.#table, at, from, bytes, this.#now);
    if (typeof verdict === "string") return verdict;
    return { ...described(verdict.way), payload: Buffer.from(verdict.payload).toString("hex") };
  }

  #nativeVerdict({ at, from, bytes }: Arrival): unknown {
    const ask = listeners.includes(at) ? this.#native.atListener : this.#native.atRelay;
    return this.#told(ask.call(this.#native, at, from.address, from.port, bytes, this.#now), bytes);
  }

  /** What the judge does by itself with STUN is, to the rule, STUN to be handed up. */
  #told(verdict: NativeVerdict, bytes: Uint8Array): unknown {
    const fate = fates[verdict.fate];
    if (fate === "drop") return drops[verdict.drop];
    if (fate !== "forward" || !verdict.from || !verdict.to) return "hand-up";
    const { from, to, isToPeer, offset, length } = verdict;
    return {
      from: describedNativeLeg(from),
      to: describedNativeLeg(to),
      direction: isToPeer ? "to-peer" : "to-client",
      mayLeave: to.mayLeave,
      payload: Buffer.from(bytes.subarray(offset, offset + length)).toString("hex"),
    };
  }
}

function argumentsOf(leg: Leg, mayLeave: boolean): [number, number, string, number, boolean, number] {
  return [leg.socket, codeOf(leg.framing), leg.peer.address, leg.peer.port, mayLeave, noOwnAddress];
}

function codeOf(framing: Framing): number {
  if (framing === "bare") return 0;
  return framing === "indication" ? 1 : framing;
}

function described({ from, to, direction, mayLeave }: Way): object {
  return { from: describedLeg(from), to: describedLeg(to), direction, mayLeave };
}

function describedNativeLeg({ socket, framing, address, port }: NativeLeg): object {
  return { socket, framing, address, port };
}

function describedLeg({ socket, framing, peer }: Leg): object {
  return { socket, framing: codeOf(framing), ...peer };
}

describe.runIf(obstacleToNative() === undefined)("the judge in C++", () => {
  test("says of every packet what the rule says", () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 60 }), (steps) => {
        const pair = new Pair();
        for (const each of steps) pair.take(each);
      }),
      { numRuns: 1000 },
    );
  });

  test("answers Binding requests with the bytes of the TURN server, or leaves them to it", () => {
    const judge = newJudge();
    let answered = 0;
    fc.assert(
      fc.property(
        fc.oneof(bindingRequest, packet),
        address,
        fc.integer({ min: 1, max: 65_535 }),
        (bytes, from, port) => {
          const answer = judge.answer(from, port, bytes);
          if (answer === undefined) return;
          answered += 1;
          expect(Buffer.from(answer)).toEqual(answerOfTurnServer({ address: from, port }, bytes));
        },
      ),
      { numRuns: 2000 },
    );
    expect(answered).toBeGreaterThan(200);
  });

  const worlds = {
    "in brief": {},
    "with hashes of names": { usernameOf: () => undefined },
    "with who gives out tokens": { accessTokens: { serverName: "turn.example.org", keys: [] } },
    "with a long realm": { realm: "a realm that no small request has room for in its answer" },
  } satisfies Readonly<Record<string, WorldOptions>>;

  test.each(Object.entries(worlds))("challenges strangers with the bytes of the TURN server, %s", (_, options) => {
    const judge = newJudge();
    const world = new World({
      ...options,
      abilities: {
        movesAmong: [
          ["udp", "dtls"],
          ["tcp", "tls"],
        ],
        dontFragment: [],
        challenges: true,
      },
      // The time goes to and fro.
      replyRate: { repliesPerSecond: 1, burst: 1e9 },
    });
    const [action] = world.passes(1);
    if (action?.do !== "challenge" || !action.by) throw new Error("no challenge");
    const { by } = action;
    let challenged = 0;
    fc.assert(
      fc.property(
        fc.oneof(allocateRequest, packet),
        address,
        fc.integer({ min: 1, max: 65_535 }),
        fc.nat(1e9),
        (bytes, from, port, millis) => {
          const now = world.now + millis;
          const answer = judge.challenge(by, from, port, bytes, now);
          if (answer === undefined) return;
          challenged += 1;
          expect(Buffer.from(answer)).toEqual(answerOf(world.server, now, { address: from, port }, bytes));
        },
      ),
      { numRuns: 1000 },
    );
    expect(challenged).toBeGreaterThan(200);
  });

  test("takes out of a Send indication what the codec takes out, if there is a permission, but none with DONT-FRAGMENT", () => {
    const judge = newJudge();
    const client: Endpoint = { address: "192.0.2.1", port: 1 };
    for (const peer of addresses) {
      const legs = [
        ...argumentsOf({ socket: 0, peer: client, framing: "indication", until: 9 }, true),
        ...argumentsOf({ socket: maxListeners, peer: { address: peer, port: 0 }, framing: "bare", until: 9 }, false),
      ] as const;
      judge.route(...legs, 9, 0);
    }
    let forwarded = 0;
    fc.assert(
      fc.property(fc.oneof(sendIndication, packet), (bytes) => {
        const verdict = judge.atListener(0, client.address, client.port, bytes, 0);
        if (fates[verdict.fate] !== "forward-send") return;
        forwarded += 1;
        const { xorPeerAddress: [peer] = [], data, dontFragment } = decode(bytes)?.attributes ?? {};
        expect(dontFragment).toBeUndefined();
        expect({ address: verdict.to?.address, port: verdict.port }).toEqual(peer);
        expect(bytes.subarray(verdict.offset, verdict.offset + verdict.length)).toEqual(Buffer.from(data ?? []));
      }),
      { numRuns: 2000 },
    );
    expect(forwarded).toBeGreaterThan(200);
  });

  test("frames payload as the codec does", () => {
    const judge = newJudge();
    const framer = new Framer();
    const framing = fc.oneof(channel, fc.constant<Framing>("bare"), fc.constant<Framing>("indication"));
    fc.assert(
      fc.property(framing, end, fc.uint8Array({ maxLength: 40 }), (as, peer, data) => {
        const frame = Buffer.from(judge.frame(codeOf(as), peer.address, peer.port, data) ?? []);
        if (as !== "indication") expect(frame).toEqual(Buffer.from(framer.frame(data, as, peer) ?? []));
        else {
          const { transactionId = Buffer.alloc(0), attributes = {} } = decode(frame) ?? {};
          const draft = { class: "indication", method: Method.data, transactionId, attributes } as const;
          expect(frame).toEqual(encode(draft));
          expect(attributes).toEqual({ xorPeerAddress: [peer], data: Buffer.from(data) });
        }
      }),
    );
  });
});

function newJudge(): InstanceType<Addon["Judge"]> {
  const addon = loadAddon();
  return new addon.Judge(64, relays.length, 7);
}

function answerOfTurnServer(from: Endpoint, bytes: Uint8Array): Uint8Array | undefined {
  return answerOf(new World().server, 0, from, bytes);
}

function answerOf(server: TurnServer, now: Millis, from: Endpoint, bytes: Uint8Array): Uint8Array | undefined {
  const on = { socket: 1, transport: "udp", at: { address: "192.0.2.9", port: 3478 } } as const;
  const actions = server.handle(now, { is: "datagram", on, via: 1, from, bytes });
  return actions.flatMap((action) => (action.do === "send" ? [Buffer.from(action.bytes)] : []))[0];
}
