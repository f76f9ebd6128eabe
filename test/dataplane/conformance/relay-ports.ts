// Relay ports: how they are found, what there is when there are none, and packets between two of our own.

import { setImmediate } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import {
  type Dataplane,
  type Endpoint,
  type Listener,
  type PlaneOptions,
  type SocketId,
  Unavailable,
} from "../../../src/contract.ts";
import { decode } from "../../../src/stun/message.ts";
import { channelData, type Make, Rig, type UdpEnd, udpEnd, udpEndOnceFree, until } from "../rig.ts";

const channel = 0x4001;
/** An address that other tests leave alone. */
const bind = "127.0.0.77";

/** Of ports that are free for IPv6, some other program may have one for IPv4. */
async function listenOnBoth(
  plane: Dataplane,
  transport: "udp" | "tcp",
  triesLeft = 5,
): Promise<{ readonly six: Listener; readonly four: Listener }> {
  const six = await plane.listen(transport, { address: "::", port: 0 });
  try {
    return { six, four: await plane.listen(transport, { address: "0.0.0.0", port: six.at.port }) };
  } catch (problem) {
    if (triesLeft === 0) throw problem;
    return await listenOnBoth(plane, transport, triesLeft - 1);
  }
}

export function describeRelayPorts(make: Make): void {
  const rigs: Rig[] = [];
  afterEach(async () => {
    await Promise.all(rigs.splice(0).map((rig) => rig.close()));
  });

  function rigOf(options: Partial<PlaneOptions>): Rig {
    const rig = new Rig(make, options);
    rigs.push(rig);
    return rig;
  }

  /** A range of which another program has all ports but one, or but none. */
  async function crowdedRange(size: number, free: number): Promise<{ range: [number, number]; others: UdpEnd[] }> {
    const others: UdpEnd[] = [];
    const first = 20_000 + Math.floor(process.pid % 1000) * 20;
    for (let port = first; port < first + size; port += 1) others.push(await udpEnd(bind, port));
    for (const end of others.splice(0, free)) await end.close();
    return { range: [first, first + size - 1], others };
  }

  describe("a relay port", () => {
    test("is bound within the range, on the address of the family", async () => {
      const rig = rigOf({ relayAddresses: [{ bind: "::1" }, { bind }], relayPorts: [50_000, 50_999] });
      for (const [family, address] of [[4, bind] as const, [6, "::1"] as const]) {
        const { at } = await rig.openRelay(family);
        expect(at.address).toBe(address);
        expect(at.port).toBeGreaterThanOrEqual(50_000);
        expect(at.port).toBeLessThanOrEqual(50_999);
        await expect(udpEnd(at.address, at.port)).rejects.toMatchObject({ code: "EADDRINUSE" });
      }
    });

    test("is the one that chance picks", async () => {
      const picks = [7, 0, 7];
      const rig = rigOf({ relayPorts: [50_100, 50_199], randomBelow: () => picks.shift() ?? 0 });
      const ports = new Set<number>();
      for (let i = 0; i < 3; i += 1) ports.add((await rig.openRelay()).at.port);
      expect(picks).toEqual([]);
      expect(ports.size).toBe(3);
    });

    test("is found though other programs have all but one of the range, each tried once at most", async () => {
      const { range, others } = await crowdedRange(12, 1);
      let draws = 0;
      const rig = rigOf({
        relayAddresses: [{ bind }],
        relayPorts: range,
        randomBelow: (below) => {
          draws += 1;
          return below - 1;
        },
      });
      for (const other of others) rig.keep(other);
      expect((await rig.openRelay()).at).toEqual({ address: bind, port: range[0] });
      expect(draws).toBe(12);
      rig.askForRelay();
      expect(await rig.handed.next()).toMatchObject({ is: "relay-failed", why: "exhausted" });
      expect(draws).toBe(12);
    });

    test("is not to be had when all are taken, and again when one is closed", async () => {
      const { range } = await crowdedRange(2, 2);
      const rig = rigOf({ relayAddresses: [{ bind }], relayPorts: range });
      const first = await rig.openRelay();
      const second = await rig.openRelay();
      expect(second.at.port).not.toBe(first.at.port);
      const third = rig.askForRelay();
      expect(await rig.handed.next()).toEqual({ is: "relay-failed", relay: third, why: "exhausted" });
      rig.plane.perform({ do: "close-relay", relay: first.relay });
      expect((await rig.openRelay()).at).toEqual(first.at);
    });

    test("is not to be had where the address is not ours", async () => {
      const rig = rigOf({ relayAddresses: [{ bind: "192.0.2.1" }] });
      const relay = rig.askForRelay();
      expect(await rig.handed.next()).toEqual({ is: "relay-failed", relay, why: "exhausted" });
    });

    test("is not to be had in a family without an address", async () => {
      const rig = rigOf({ relayAddresses: [{ bind }] });
      const relay = rig.askForRelay(6);
      expect(await rig.handed.next()).toEqual({ is: "relay-failed", relay, why: "no-such-family" });
    });

    test("says what it carried when it closes, and its routes end with it", async () => {
      const rig = rigOf({});
      const { listener, client, peer, relay, at } = await callee(rig);
      client.send(channelData(channel, "four"), listener);
      await peer.next();
      // A port that something came to is closed in another way than one that only sends.
      peer.send("back", at);
      await client.next();
      rig.plane.perform({ do: "close-relay", relay });
      expect(rig.plane.usage(relay)).toBeUndefined();
      await until(() => rig.facts.length > 0);
      expect(rig.facts).toEqual([
        {
          fact: "relay-closed",
          relay,
          usage: { toPeer: { packets: 1, bytes: 4 }, toClient: { packets: 1, bytes: 4 } },
        },
      ]);
      rig.plane.perform({ do: "close-relay", relay });
      expect(rig.facts).toHaveLength(1);
      const again = await callee(rig, client);
      client.send(channelData(channel, "new"), again.listener);
      expect((await again.peer.next()).toString()).toBe("new");
      rig.keep(await udpEndOnceFree(at));
    });

    test("that is closed right after it was asked for is not heard of any more, and its port is free", async () => {
      const { range } = await crowdedRange(1, 1);
      const rig = rigOf({ relayAddresses: [{ bind }], relayPorts: range });
      const unwanted = rig.askForRelay();
      // A plane may open it before it returns.
      if (!rig.handed.isEmpty) expect(await rig.next("relay-opened")).toMatchObject({ relay: unwanted });
      rig.plane.perform({ do: "close-relay", relay: unwanted });
      let opened: SocketId | undefined;
      while (opened === undefined) {
        await setImmediate();
        rig.askForRelay();
        const input = await rig.handed.next();
        if (input.is === "relay-opened") opened = input.relay;
      }
      expect(opened).not.toBe(unwanted);
    });
  });

  interface Callee {
    readonly listener: Endpoint;
    readonly client: UdpEnd;
    readonly peer: UdpEnd;
    readonly relay: SocketId;
    readonly at: Endpoint;
    readonly permit: (peer: Endpoint) => void;
  }

  /** A client with a relay port and a channel to a peer of its own; `permit` takes the channel to another. */
  async function callee(rig: Rig, known?: UdpEnd): Promise<Callee> {
    const { socket, at: listener } = await rig.listen("udp");
    const { relay, at } = await rig.openRelay(4, socket);
    const [client, peer] = [known ?? (await rig.udp()), await rig.udp()];
    const permit = (other: Endpoint) => rig.route(rig.leg(socket, client.at, channel), rig.leg(relay, other));
    permit(peer.at);
    return { listener, client, peer, relay, at, permit };
  }

  describe("between two of our own relay ports", () => {
    test.each([
      ["as bound", undefined],
      ["by their external address", "203.0.113.7"],
    ])("packets pass %s without leaving, whatever policy says of the address", async (_, external) => {
      const rig = rigOf({ relayAddresses: [external ? { bind, external } : { bind }], mayReach: () => false });
      const [alice, bob] = [await callee(rig), await callee(rig)];
      expect(alice.at.address).toBe(external ?? bind);
      alice.permit(bob.at);
      bob.permit(alice.at);
      alice.client.send(channelData(channel, "hello"), alice.listener);
      expect(await bob.client.next()).toEqual(channelData(channel, "hello"));
      await until(() => rig.relayedPackets === 2);
      expect(rig.plane.usage(alice.relay)).toMatchObject({ toPeer: { packets: 1, bytes: 5 } });
      expect(rig.plane.usage(bob.relay)).toMatchObject({ toClient: { packets: 1, bytes: 5 } });
    });

    test("what is sent to the bound address comes from the external one", async () => {
      const rig = rigOf({ relayAddresses: [{ bind, external: "203.0.113.7" }], mayReach: () => false });
      const [alice, bob] = [await callee(rig), await callee(rig)];
      bob.permit(alice.at);
      alice.permit({ address: bind, port: bob.at.port });
      alice.client.send(channelData(channel, "hello"), alice.listener);
      expect(await bob.client.next()).toEqual(channelData(channel, "hello"));
    });

    test("one keeps the external address it was opened with, however often that changes for others", async () => {
      let external = "203.0.113.1";
      const relayAddress = {
        bind,
        get external() {
          return external;
        },
      };
      const rig = rigOf({ relayAddresses: [relayAddress], mayReach: () => false });
      const alice = await callee(rig);
      for (let change = 2; change <= 20; change += 1) {
        external = `203.0.113.${change}`;
        const bob = await callee(rig);
        expect([alice.at.address, bob.at.address]).toEqual(["203.0.113.1", external]);
        alice.permit(bob.at);
        bob.permit(alice.at);
        alice.client.send(channelData(channel, "to the new one"), alice.listener);
        expect(await bob.client.next()).toEqual(channelData(channel, "to the new one"));
        bob.client.send(channelData(channel, "to the old one"), bob.listener);
        expect(await alice.client.next()).toEqual(channelData(channel, "to the old one"));
        rig.plane.perform({ do: "close-relay", relay: bob.relay });
      }
    });

    test("the machine's own packets pass too, and are indicated where only a permission stands", async () => {
      const rig = rigOf({ relayAddresses: [{ bind, external: "203.0.113.7" }], mayReach: () => false });
      const [alice, bob] = [await callee(rig), await callee(rig)];
      const { socket } = await rig.listen("udp");
      rig.route(
        rig.leg(socket, bob.client.at, "indication"),
        rig.leg(bob.relay, { address: alice.at.address, port: 0 }),
      );
      rig.plane.perform({ do: "send", via: alice.relay, to: bob.at, bytes: Buffer.from("hello") });
      expect(decode(await bob.client.next())?.attributes.xorPeerAddress).toEqual([alice.at]);
    });

    test("the receiver's permissions hold", async () => {
      const rig = rigOf({ mayReach: () => false });
      const [alice, bob, carol] = [await callee(rig), await callee(rig), await callee(rig)];
      alice.permit(bob.at);
      carol.permit(bob.at);
      bob.permit(carol.at);
      alice.client.send(channelData(channel, "from alice"), alice.listener);
      alice.client.send(channelData(channel + 1, "not bound"), alice.listener);
      carol.client.send(channelData(channel, "from carol"), carol.listener);
      expect(await bob.client.next()).toEqual(channelData(channel, "from carol"));
      await rig.expectDropped("no-permission", 1);
      expect(rig.plane.usage(bob.relay)?.toClient.packets).toBe(1);
    });

    test("a closed relay port is a peer like any other: forbidden here", async () => {
      const rig = rigOf({ mayReach: () => false });
      const [alice, bob] = [await callee(rig), await callee(rig)];
      alice.permit(bob.at);
      rig.plane.perform({ do: "close-relay", relay: bob.relay });
      const heir = rig.keep(await udpEndOnceFree(bob.at));
      alice.client.send(channelData(channel, "for bob"), alice.listener);
      alice.client.send(Buffer.alloc(20), alice.listener);
      await rig.handed.next();
      await rig.expectDropped("forbidden-peer", 1);
      alice.client.send("marker", heir.at);
      expect((await heir.next()).toString()).toBe("marker");
    });

    test("a circle of routes ends", async () => {
      const rig = rigOf({});
      const [one, two] = [await rig.openRelay(), await rig.openRelay()];
      rig.route(rig.leg(two.relay, one.at), rig.leg(one.relay, two.at));
      rig.plane.perform({ do: "send", via: two.relay, to: one.at, bytes: Buffer.from("round and round") });
      const { listener, client, peer } = await callee(rig);
      client.send(channelData(channel, "afterwards"), listener);
      expect((await peer.next()).toString()).toBe("afterwards");
      await rig.expectDropped("forbidden-peer", 1);
    });
  });

  describe("listening", () => {
    test.each(["udp", "tcp"] as const)("on %s, IPv4 and IPv6 wildcards share a port", async (transport) => {
      const rig = rigOf({});
      const { six, four } = await listenOnBoth(rig.plane, transport);
      expect(four).toEqual({ socket: four.socket, transport, at: { address: "0.0.0.0", port: six.at.port } });
      expect(six.at.address).toBe("::");
      expect(four.socket).not.toBe(six.socket);
    });

    test.each(["udp", "tcp"] as const)("on a %s port that is taken is refused with the cause", async (transport) => {
      const rig = rigOf({});
      const { at } = await rig.listen(transport);
      const again = rig.plane.listen(transport, at);
      await expect(again).rejects.toBeInstanceOf(Unavailable);
      await expect(again).rejects.toMatchObject({ cause: { code: "EADDRINUSE" } });
    });
  });

  test("closing ends every socket, and what comes after is harmless", async () => {
    const rig = new Rig(make);
    const before = process.getActiveResourcesInfo().length;
    const [udp, tcp] = [await rig.listen("udp"), await rig.listen("tcp")];
    const { relay, at } = await rig.openRelay();
    const client = await rig.tcp(tcp);
    client.send(Buffer.alloc(20, Buffer.from([0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42])).fill(0, 8));
    await rig.handed.next();
    const asked = rig.askForRelay();
    // A plane may open it before it returns.
    const isOpen = !rig.handed.isEmpty;
    if (isOpen) await rig.next("relay-opened");
    await rig.plane.close();
    await client.closed;
    await Promise.all([udpEnd(at.address, at.port), udpEnd(udp.at.address, udp.at.port)]).then((ends) =>
      Promise.all(ends.map((end) => end.close())),
    );
    const closed = rig.facts.flatMap((fact) => (fact.fact === "relay-closed" ? [fact.relay] : []));
    expect(closed.toSorted((a, b) => a - b)).toEqual(isOpen ? [relay, asked] : [relay]);
    rig.askForRelay();
    rig.plane.perform({ do: "send", via: udp.socket, to: at, bytes: Buffer.from("late") });
    rig.plane.perform({ do: "send", via: relay, to: at, bytes: Buffer.from("late") });
    rig.plane.perform({ do: "close-relay", relay });
    await rig.plane.close();
    expect(rig.handed.isEmpty).toBe(true);
    expect(rig.plane.counters()).toMatchObject({ relays: 0, connections: 0 });
    expect(process.getActiveResourcesInfo().length).toBeLessThanOrEqual(before);
  });
}
