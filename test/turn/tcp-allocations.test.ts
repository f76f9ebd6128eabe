// TCP allocations, as the machine decides about them (RFC 6062).

import { describe, expect, test } from "vitest";
import { type Action, type Endpoint, familyOf, type Input } from "../../src/contract.ts";
import { decode } from "../../src/stun/message.ts";
import { Method } from "../../src/stun/methods.ts";
import { forbiddenPeers } from "./forbidden-peers.ts";
import { type Client, codeOf, otherPeer, peer, sixthPeer, World, type WorldOptions } from "./world.ts";

const tcp = { requestedTransport: 6 };

function allocated(options: WorldOptions = {}) {
  const world = new World({ relaysTcp: true, ...options });
  const control = world.client("198.51.100.7", { transport: "tcp" });
  const relayed = control.allocates(tcp);
  const [relay = 0] = [...world.relays.keys()];
  return { world, control, relayed, relay };
}

/** Asks for a connection to be made, and returns what the plane is told. */
function asksToConnect(client: Client, to: Endpoint) {
  const bytes = client.sign(client.request("connect", { xorPeerAddress: [to] }));
  expect(client.sends(bytes)).toEqual([]);
  const [action] = client.world.actions;
  if (action?.do !== "connect") throw new Error("nothing is connected");
  return action;
}

/** The answer or indication among these actions that is for a client. */
function wordFor({ tuple }: Client, actions: readonly Action[]) {
  const words = actions.flatMap((action) => (action.do === "send" && action.via === tuple.via ? [action.bytes] : []));
  expect(words).toHaveLength(1);
  const message = decode(words[0] ?? new Uint8Array());
  if (!message) throw new Error("no STUN");
  return message;
}

function connects(client: Client, to: Endpoint = peer): { readonly peer: number; readonly connectionId: number } {
  const { peer } = asksToConnect(client, to);
  const { connectionId } = wordFor(client, client.world.hears({ is: "peer-connected", peer })).attributes;
  if (connectionId === undefined) throw new Error("no CONNECTION-ID");
  return { peer, connectionId };
}

/** A client on a connection of its own, with the same user's credentials unless said. */
function dataClient(world: World, user = "alice", transport: "tcp" | "tls" | "udp" = "tcp"): Client {
  return world.client("198.51.100.7", { port: 6000, transport, user });
}

describe("a TCP allocation", () => {
  test("is unknown unless the operator says so", () => {
    const world = new World();
    const client = world.client("198.51.100.7", { transport: "tcp" });
    expect(codeOf(client.asks("allocate", tcp))).toBe(442);
    expect(client.sends(client.sign(client.request("connect", { xorPeerAddress: [peer] })))).toEqual([]);
    // What is behind it in the stream waits for an answer.
    const bind = client.sign(client.request("connectionBind", { connectionId: 1 }));
    expect(client.sends(bind).map(decode)).toMatchObject([
      { class: "error", attributes: { errorCode: { code: 400 } } },
    ]);
  });

  test.each(["tcp", "tls"] as const)("is had over %s, and its port is one of TCP", (transport) => {
    const world = new World({ relaysTcp: true });
    world.opensAtOnce = false;
    const client = world.client("198.51.100.7", { transport });
    client.fetchNonce();
    client.sends(client.sign(client.request("allocate", tcp)));
    expect(world.actions).toMatchObject([{ do: "open-relay", transport: "tcp", via: client.tuple.via }]);
  });

  test.each([
    ["over UDP", "udp", {}],
    ["with EVEN-PORT", "tcp", { evenPort: { reservesNext: false } }],
    ["with RESERVATION-TOKEN", "tcp", { reservationToken: new Uint8Array(8) }],
    ["with DONT-FRAGMENT", "tcp", { dontFragment: true }],
  ] as const)("is refused with 400 %s", (_, transport, attributes) => {
    const world = new World({ relaysTcp: true });
    expect(codeOf(world.client("198.51.100.7", { transport }).asks("allocate", { ...tcp, ...attributes }))).toBe(400);
    expect(world.relays.size).toBe(0);
  });

  test("has neither channels nor indications, and permissions make no routes", () => {
    const { world, control } = allocated();
    expect(codeOf(control.asks("channelBind", { channelNumber: 0x4000, xorPeerAddress: [peer] }))).toBe(400);
    expect(codeOf(control.asks("createPermission", { xorPeerAddress: [peer] }))).toBe(0);
    expect(world.routes).toEqual([]);
    expect(control.indicates({ xorPeerAddress: [peer], data: new Uint8Array(1) })).toEqual([]);
  });
});

describe("Connect", () => {
  test("is answered with an id when the peer is reached", () => {
    const { world, control, relay } = allocated();
    const action = asksToConnect(control, peer);
    expect(action).toMatchObject({ relay, to: peer });
    const answer = wordFor(control, world.hears({ is: "peer-connected", peer: action.peer }));
    expect([answer.class, answer.method]).toEqual(["success", Method.connect]);
    expect(answer.attributes.connectionId).toBeTypeOf("number");
  });

  test("is answered with 447 when the peer is not reached, or not within 30 seconds", () => {
    const { world, control } = allocated();
    const first = asksToConnect(control, peer);
    expect(codeOf(wordFor(control, world.hears({ is: "peer-failed", peer: first.peer })))).toBe(447);
    const second = asksToConnect(control, peer);
    expect(world.passes(29)).toEqual([]);
    const actions = world.passes(2);
    expect(actions).toContainEqual({ do: "hang-up", via: second.peer });
    expect(codeOf(wordFor(control, actions))).toBe(447);
    expect(world.hears({ is: "peer-failed", peer: second.peer })).toEqual([]);
    expect(world.hears({ is: "peer-connected", peer: second.peer })).toEqual([{ do: "hang-up", via: second.peer }]);
  });

  test("is refused with 446 while there is one to this peer, in whichever state, and not to another port", () => {
    const { world, control } = allocated();
    asksToConnect(control, peer);
    expect(codeOf(control.asks("connect", { xorPeerAddress: [peer] }))).toBe(446);
    const made = connects(control, otherPeer);
    expect(codeOf(control.asks("connect", { xorPeerAddress: [otherPeer] }))).toBe(446);
    asksToConnect(control, { ...peer, port: 4001 });
    world.hears({ is: "hung-up", via: made.peer });
    asksToConnect(control, otherPeer);
  });

  test("is refused without a TCP allocation, a peer, or a relayed address of its family", () => {
    const world = new World({ relaysTcp: true });
    const none = world.client("198.51.100.7", { transport: "tcp" });
    expect(codeOf(none.asks("connect", { xorPeerAddress: [peer] }))).toBe(437);
    none.allocates();
    expect(codeOf(none.asks("connect", { xorPeerAddress: [peer] }))).toBe(437);
    const { control } = allocated();
    expect(codeOf(control.asks("connect"))).toBe(400);
    expect(codeOf(control.asks("connect", { xorPeerAddress: [sixthPeer] }))).toBe(443);
  });

  test("obeys the peer policy", () => {
    const options = { peers: { relayAddresses: ["5.6.7.8"], listeners: [] } };
    const { control } = allocated(options);
    const sixth = new World({ relaysTcp: true, ...options }).client("198.51.100.7", { transport: "tcp" });
    sixth.allocates({ ...tcp, requestedAddressFamily: 6 });
    for (const { address } of forbiddenPeers) {
      const client = familyOf(address) === 6 ? sixth : control;
      expect(codeOf(client.asks("connect", { xorPeerAddress: [{ address, port: 80 }] })), address).toBe(403);
    }
    expect(codeOf(control.asks("connect", { xorPeerAddress: [{ ...peer, port: 0 }] }))).toBe(403);
  });

  test.each([
    ["allocation", { peerConnectionsPerAllocation: 2 }, 508],
    ["user", { peerConnectionsPerUser: 2 }, 486],
    ["server", { peerConnections: 2 }, 508],
  ] as const)("is refused when the %s has as many as it may", (_, limits, code) => {
    const { world, control } = allocated({ limits });
    const made = connects(control);
    asksToConnect(control, otherPeer);
    const third = { address: "8.8.4.4", port: 4002 };
    expect(codeOf(control.asks("connect", { xorPeerAddress: [third] }))).toBe(code);
    world.hears({ is: "hung-up", via: made.peer });
    asksToConnect(control, third);
  });
});

describe("a peer that connects", () => {
  const arrival = (relay: number, control: Client, from = peer): Input => ({
    is: "peer-arrived",
    relay,
    via: control.tuple.via,
    peer: control.world.newSocketId(),
    from,
  });

  test("is told to the client if it has permission, and can be bound", () => {
    const { world, control, relay } = allocated();
    control.asks("createPermission", { xorPeerAddress: [{ ...peer, port: 1 }] });
    const input = arrival(relay, control);
    const told = wordFor(control, world.hears(input));
    expect([told.class, told.method]).toEqual(["indication", Method.connectionAttempt]);
    expect(told.attributes.xorPeerAddress).toEqual([peer]);
    const { connectionId } = told.attributes;
    expect(codeOf(dataClient(world).asks("connectionBind", { connectionId }))).toBe(0);
    expect(world.actions[0]).toMatchObject({ do: "join" });
  });

  test("is hung up without permission, or when that has ended, and the client hears nothing", () => {
    const { world, control, relay } = allocated();
    const stranger = arrival(relay, control);
    expect(world.hears(stranger)).toEqual([{ do: "hang-up", via: stranger.is === "peer-arrived" && stranger.peer }]);
    control.asks("createPermission", { xorPeerAddress: [peer] });
    expect(world.hears(arrival(relay, control, otherPeer))).toMatchObject([{ do: "hang-up" }]);
    world.passes(301);
    expect(world.hears(arrival(relay, control))).toMatchObject([{ do: "hang-up" }]);
  });

  test("is hung up when there are too many, or nobody binds it within 30 seconds", () => {
    const { world, control, relay } = allocated({ limits: { peerConnectionsPerAllocation: 1 } });
    control.asks("createPermission", { xorPeerAddress: [peer] });
    world.hears(arrival(relay, control));
    expect(world.hears(arrival(relay, control, { ...peer, port: 9 }))).toMatchObject([{ do: "hang-up" }]);
    expect(world.passes(29)).toEqual([]);
    expect(world.passes(2)).toMatchObject([{ do: "hang-up" }]);
  });
});

describe("ConnectionBind", () => {
  test("joins the two connections before it is answered, once", () => {
    const { world, control } = allocated();
    const { peer, connectionId } = connects(control);
    const data = dataClient(world, "alice", "tls");
    expect(codeOf(data.asks("connectionBind", { connectionId }))).toBe(0);
    expect(world.actions).toMatchObject([{ do: "join", streams: [data.tuple.via, peer] }, { do: "send" }]);
    expect(codeOf(dataClient(world).asks("connectionBind", { connectionId }))).toBe(400);
    expect(world.passes(60)).toEqual([]);
  });

  test("is refused to another user, over UDP, without an id or with one that is not there", () => {
    const { world, control } = allocated();
    const { connectionId } = connects(control);
    expect(codeOf(dataClient(world, "bob").asks("connectionBind", { connectionId }))).toBe(441);
    expect(codeOf(dataClient(world, "alice", "udp").asks("connectionBind", { connectionId }))).toBe(400);
    expect(codeOf(dataClient(world).asks("connectionBind"))).toBe(400);
    expect(codeOf(dataClient(world).asks("connectionBind", { connectionId: (connectionId + 1) >>> 0 }))).toBe(400);
    expect(codeOf(control.asks("connectionBind", { connectionId }))).toBe(400);
    expect(codeOf(dataClient(world).asks("connectionBind", { connectionId }))).toBe(0);
  });

  test("is refused after 30 seconds, while the peer is not reached, and when the allocation is gone", () => {
    const { world, control } = allocated();
    const { connectionId } = connects(control);
    world.passes(31);
    expect(codeOf(dataClient(world).asks("connectionBind", { connectionId }))).toBe(400);
    const late = connects(control);
    control.asks("refresh", { lifetime: 0 });
    expect(codeOf(dataClient(world).asks("connectionBind", { connectionId: late.connectionId }))).toBe(400);
  });

  test("needs credentials", () => {
    const { world, control } = allocated();
    const { connectionId } = connects(control);
    expect(codeOf(dataClient(world).asksBare("connectionBind", { connectionId }))).toBe(401);
  });
});

describe("other lists of peers", () => {
  test("end the connections to those who may not be reached any more, whether or not they are bound", () => {
    const { world, control } = allocated();
    const connected = [peer, { ...peer, port: peer.port + 1 }, otherPeer].map((to) => connects(control, to));
    const [bound, pending] = connected;
    const client = dataClient(world);
    expect(codeOf(client.asks("connectionBind", { connectionId: bound?.connectionId ?? 0 }))).toBe(0);
    const ended = world.judgesPeersBy({ deny: [`${peer.address}/32`] });
    expect(ended).toEqual([
      { do: "hang-up", via: bound?.peer },
      { do: "hang-up", via: pending?.peer },
      { do: "ask-again" },
    ]);
  });
});
