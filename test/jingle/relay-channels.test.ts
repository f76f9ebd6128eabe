import { describe, expect, test } from "vitest";
import type { Endpoint, Route, SocketId } from "../../src/contract.ts";
import {
  type ChannelAction,
  type ChannelInput,
  type ChannelLimits,
  type OpenChannel,
  RelayChannels,
} from "../../src/jingle/relay-channels.ts";

const asker: Endpoint = { address: "198.51.100.7", port: 7000 };
const other: Endpoint = { address: "203.0.113.9", port: 9000 };
const thief: Endpoint = { address: "192.0.2.66", port: 6666 };

/** RTP with this SSRC. */
function rtp(ssrc = 1, sequence = 1): Buffer {
  const packet = Buffer.alloc(20, 0x55);
  packet[0] = 0x80;
  packet[1] = 96;
  packet.writeUInt16BE(sequence, 2);
  packet.writeUInt32BE(ssrc, 8);
  return packet;
}

function rtcp(ssrc = 1): Buffer {
  const packet = Buffer.alloc(8);
  packet[0] = 0x80;
  packet[1] = 200;
  packet.writeUInt32BE(ssrc, 4);
  return packet;
}

/** A plane on paper: relay ports open at once, one after the other, unless they are taken. */
class World {
  now = 1_800_000_000_000;
  readonly machine: RelayChannels;
  readonly ports = new Map<SocketId, number>();
  readonly routes = new Map<string, Route>();
  readonly answers: [channel: string, outcome: OpenChannel | string][] = [];
  readonly sent: { via: SocketId; to: Endpoint }[] = [];
  readonly facts: string[] = [];
  readonly taken = new Set<number>();
  readonly banned = new Set<string>();
  nextPort = 50_000;
  isFull = false;
  #lastSocket = 0;

  constructor(limits: Partial<ChannelLimits> = {}) {
    this.machine = new RelayChannels({
      family: 4,
      limits: { channels: 10, channelsPerUser: 2, kilobitsPerSecond: 800, ...limits },
      isBanned: (address) => this.banned.has(address),
      newSocketId: () => {
        this.#lastSocket += 1;
        return this.#lastSocket;
      },
    });
  }

  hears(input: ChannelInput): void {
    for (const action of this.machine.handle(this.now, input)) this.#perform(action);
  }

  asks(channel = "c1", user = "alice"): OpenChannel {
    this.hears({ is: "channel-asked", channel, user });
    const outcome = this.answers.at(-1)?.[1];
    if (typeof outcome !== "object") throw new Error(`no channel: ${outcome}`);
    return outcome;
  }

  /** A packet that no route took, or one that a route took and so nobody hears of. */
  arrives(port: number, from: Endpoint, bytes: Uint8Array): "routed" | "stray" {
    const relay = this.relayAt(port);
    const isRouted = [...this.routes.values()].some((legs) =>
      legs.some(
        (leg) =>
          leg.socket === relay &&
          leg.until > this.now &&
          leg.peer.port === from.port &&
          leg.peer.address === from.address,
      ),
    );
    if (isRouted) return "routed";
    this.hears({ is: "stray", relay, from, bytes });
    return "stray";
  }

  passes(seconds: number): void {
    for (let second = 0; second < seconds; second++) {
      this.now += 1000;
      this.hears({ is: "ticked" });
    }
  }

  relayAt(port: number): SocketId {
    const [relay] = [...this.ports].find(([, at]) => at === port) ?? [];
    if (relay === undefined) throw new Error(`no relay port ${port}`);
    return relay;
  }

  /** Between whom, at which ports. */
  get flows(): string[] {
    return [...this.routes.values()].map((legs) =>
      legs
        .map(({ socket, peer }) => `${this.ports.get(socket)}:${peer.address}:${peer.port}`)
        .sort()
        .join(" "),
    );
  }

  #perform(action: ChannelAction): void {
    switch (action.do) {
      case "open-relay":
        this.#open(action.relay, action.port);
        break;
      case "close-relay":
        this.ports.delete(action.relay);
        for (const [key, legs] of this.routes)
          if (legs.some(({ socket }) => socket === action.relay)) this.routes.delete(key);
        break;
      case "route":
        this.routes.set(keyOf(action.legs), action.legs);
        break;
      case "unroute":
        this.routes.delete(keyOf(action.legs));
        break;
      case "send":
        this.sent.push({ via: action.via, to: action.to });
        break;
      case "answer-channel":
        this.answers.push([action.channel, action.outcome]);
        break;
      case "report":
        this.facts.push(action.fact.fact);
    }
  }

  #open(relay: SocketId, wish: number | "even" | undefined): void {
    let port = wish;
    if (typeof port !== "number") {
      port = this.nextPort;
      this.nextPort += 2;
    }
    if (this.isFull || this.taken.has(port)) {
      this.hears({ is: "relay-failed", relay, why: "exhausted" });
      return;
    }
    this.ports.set(relay, port);
    this.hears({ is: "relay-opened", relay, at: { address: "192.0.2.1", port } });
  }
}

function keyOf(legs: Route): string {
  return legs
    .map(({ socket, peer }) => `${socket} ${peer.address} ${peer.port}`)
    .sort()
    .join(" ");
}

function opened(limits?: Partial<ChannelLimits>) {
  const world = new World(limits);
  return { world, ...world.asks() };
}

describe("a channel", () => {
  test("has a pair of ports for who asked and one for the other party, each with RTCP on the next", () => {
    const { world, ...channel } = opened();
    expect(channel).toEqual({ host: "192.0.2.1", localPort: 50_000, remotePort: 50_002 });
    expect([...world.ports.values()]).toEqual([50_000, 50_001, 50_002, 50_003]);
    expect(world.facts).toEqual(["channel-opened"]);
  });

  test("takes another pair where the second port of one is taken", () => {
    const world = new World();
    world.taken.add(50_001).add(50_005);
    expect(world.asks()).toMatchObject({ localPort: 50_002, remotePort: 50_006 });
    expect([...world.ports.values()]).toEqual([50_002, 50_003, 50_006, 50_007]);
  });

  test("is refused where there are no ports, and leaves none open", () => {
    const world = new World();
    for (let port = 50_001; port < 50_100; port += 2) world.taken.add(port);
    world.hears({ is: "channel-asked", channel: "c1", user: "alice" });
    expect(world.answers).toEqual([["c1", "exhausted"]]);
    expect(world.ports.size).toBe(0);
    world.isFull = true;
    world.hears({ is: "channel-asked", channel: "c2", user: "alice" });
    expect(world.answers.at(-1)).toEqual(["c2", "exhausted"]);
  });

  test("is refused to who has enough, and to everybody when there are too many", () => {
    const world = new World({ channels: 3, channelsPerUser: 2 });
    world.asks("c1");
    world.asks("c2");
    world.hears({ is: "channel-asked", channel: "c3", user: "alice" });
    world.asks("c4", "bob");
    world.hears({ is: "channel-asked", channel: "c5", user: "carol" });
    expect(world.answers.filter(([, outcome]) => outcome === "too-many").map(([name]) => name)).toEqual(["c3", "c5"]);
    world.passes(61);
    world.asks("c6");
  });
});

describe("media", () => {
  test("passes both ways once both have sent, RTP and RTCP each by itself", () => {
    const { world, localPort, remotePort } = opened();
    expect(world.arrives(localPort, asker, rtp(1))).toBe("stray");
    expect(world.flows).toEqual([]);
    expect(world.sent).toEqual([]);
    world.arrives(remotePort, other, rtp(2));
    expect(world.flows).toEqual([`${localPort}:198.51.100.7:7000 ${remotePort}:203.0.113.9:9000`]);
    expect(world.sent).toEqual([{ via: world.relayAt(localPort), to: asker }]);
    expect(world.arrives(localPort, asker, rtp(1))).toBe("routed");

    world.arrives(localPort + 1, { ...asker, port: 7001 }, rtcp(1));
    world.arrives(remotePort + 1, { ...other, port: 9001 }, rtcp(2));
    expect(world.flows[1]).toBe(`${localPort + 1}:198.51.100.7:7001 ${remotePort + 1}:203.0.113.9:9001`);
  });

  test.each([
    ["nothing", Buffer.alloc(0)],
    ["too little", rtp().subarray(0, 7)],
    ["ChannelData", Buffer.alloc(20, 0x40)],
    ["text", Buffer.from("GET / HTTP/1.1\r\n")],
  ])("is not %s", (_, bytes) => {
    const { world, localPort, remotePort } = opened();
    world.arrives(localPort, thief, bytes);
    world.arrives(localPort, asker, rtp());
    world.arrives(remotePort, other, rtp());
    expect(world.flows[0]).toContain("198.51.100.7");
  });

  test.each([
    ["STUN", Buffer.from("000100002112a442000102030405060708090a0b", "hex")],
    ["DTLS", Buffer.from("16feff0000000000000000", "hex")],
  ])("may begin with %s", (_, bytes) => {
    const { world, localPort, remotePort } = opened();
    world.arrives(localPort, asker, bytes);
    world.arrives(remotePort, other, bytes);
    expect(world.flows).toHaveLength(1);
  });
});

describe("a third source", () => {
  test.each([
    ["another stream", rtp(99)],
    ["no stream, but STUN", Buffer.from("000100002112a442000102030405060708090a0b", "hex")],
  ])("gets nothing by sending %s", (_, bytes) => {
    const { world, localPort, remotePort } = opened();
    world.arrives(localPort, asker, rtp(1));
    world.arrives(remotePort, other, rtp(2));
    const before = [...world.flows];
    const sent = world.sent.length;
    for (let n = 0; n < 100; n++) {
      world.arrives(localPort, thief, bytes);
      world.arrives(remotePort, thief, bytes);
    }
    expect(world.flows).toEqual(before);
    expect(world.sent).toHaveLength(sent);
  });

  test("that shows the same stream three times in a row is the same party, come from elsewhere", () => {
    const { world, localPort, remotePort } = opened();
    world.arrives(localPort, asker, rtp(1));
    world.arrives(remotePort, other, rtp(2));
    const moved = { address: "198.51.100.8", port: 7777 };
    world.arrives(localPort, moved, rtp(1));
    world.arrives(localPort, moved, rtp(1));
    world.arrives(localPort, thief, rtp(99));
    expect(world.flows[0]).toContain("198.51.100.7:7000");
    world.arrives(localPort, moved, rtp(1));
    expect(world.flows).toEqual([`${localPort}:198.51.100.8:7777 ${remotePort}:203.0.113.9:9000`]);
    expect(world.arrives(localPort, asker, rtp(3))).toBe("stray");
    expect(world.flows).toHaveLength(1);
  });
});

describe("the end of a channel", () => {
  test("comes after a minute without a packet", () => {
    const { world } = opened();
    world.passes(59);
    expect(world.ports.size).toBe(4);
    world.passes(2);
    expect(world.ports.size).toBe(0);
    expect(world.facts).toEqual(["channel-opened", "channel-closed"]);
  });

  test("does not come while there are packets, and not before a minute after the last", () => {
    const { world, localPort, remotePort } = opened();
    for (let second = 0; second < 300; second++) {
      world.arrives(localPort, asker, rtp(1));
      if (second === 0) world.arrives(remotePort, other, rtp(2));
      world.passes(1);
    }
    expect(world.ports.size).toBe(4);
    world.passes(58);
    expect(world.ports.size).toBe(4);
    world.passes(30);
    expect(world.ports.size).toBe(0);
    expect(world.routes.size).toBe(0);
  });

  test("comes with a ban of its user, and not with one of somebody else", () => {
    const { world } = opened();
    const ban = (user: string) =>
      world.hears({ is: "ordered", order: { order: "ban", whom: { user }, until: world.now + 60_000 } });
    ban("bob");
    expect(world.ports.size).toBe(4);
    ban("alice");
    expect(world.ports.size).toBe(0);
  });
});

describe("a ban of a network", () => {
  const whom = { network: thief.address };

  test("ends the channels that somebody uses from there, and no others", () => {
    const { world, remotePort } = opened();
    world.arrives(remotePort, thief, rtp());
    const { localPort } = world.asks("c2", "bob");
    world.arrives(localPort, other, rtp());
    world.banned.add(thief.address);
    world.hears({ is: "ordered", order: { order: "ban", whom, until: world.now + 60_000 } });
    expect([...world.ports.values()]).toEqual([0, 1, 2, 3].map((each) => localPort + each));
  });

  test("keeps everybody there from having a port", () => {
    const { world, localPort, remotePort } = opened();
    world.banned.add(thief.address);
    world.arrives(remotePort, thief, rtp());
    world.arrives(remotePort, other, rtp(2));
    world.arrives(localPort, asker, rtp());
    expect(world.flows).toHaveLength(1);
    expect(world.flows[0]).toContain(other.address);
  });
});

test("relay ports of others are not its business", () => {
  const { world } = opened();
  world.hears({ is: "relay-opened", relay: 999, at: other });
  world.hears({ is: "relay-failed", relay: 999, why: "exhausted" });
  world.hears({ is: "stray", relay: 999, from: thief, bytes: rtp() });
  world.hears({ is: "hung-up", via: 999 });
  expect(world.ports.size).toBe(4);
});
