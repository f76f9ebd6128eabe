// What leaves for peers and clients beside what routes carry, and what may leave at all.

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Family } from "../../../src/contract.ts";
import { encode } from "../../../src/stun/message.ts";
import { channelData, type Make, Rig, until } from "../rig.ts";
import { type Clients, channel, channelLegs, expectNothingBefore, onUdp, openScene, permissionLegs } from "./scene.ts";

export function describeSending(make: Make, clients: Clients = onUdp): void {
  const isOnUdp = clients.transport === "udp";
  let rig: Rig;
  beforeEach(() => {
    rig = new Rig(make);
  });
  afterEach(() => rig.close());
  const scene = (family?: Family) => openScene(rig, clients, family);

  describe("the machine's own packets", () => {
    test("leave by a listener to a client and by a relay port to a peer", async () => {
      const on = await scene();
      rig.plane.perform({ do: "send", via: on.via, to: on.client.at, bytes: Buffer.from("answer") });
      rig.plane.perform({ do: "send", via: on.relay, to: on.peer.at, bytes: Buffer.from("indicated") });
      expect(await on.client.nextFrom()).toEqual({ bytes: Buffer.from("answer"), from: on.listener.at });
      expect(await on.peer.nextFrom()).toEqual({ bytes: Buffer.from("indicated"), from: on.at });
      await until(() => rig.relayedPackets === 1);
      expect(rig.plane.usage(on.relay)?.toPeer).toEqual({ packets: 1, bytes: 9 });
    });

    test("to nowhere are harmless", async () => {
      const on = await scene();
      // Over a session there is nowhere but its client.
      for (const via of [...(isOnUdp ? [on.via] : []), on.relay, rig.newSocketId()]) {
        for (const to of [
          { address: "127.0.0.1", port: 0 },
          { address: "255.255.255.255", port: 9 },
          { address: "::1", port: 9 },
        ]) {
          rig.plane.perform({ do: "send", via, to, bytes: Buffer.from("nowhere") });
        }
      }
      rig.plane.perform({ do: "send", via: on.via, to: on.client.at, bytes: Buffer.alloc(70_000) });
      rig.plane.perform({ do: "send", via: on.via, to: on.client.at, bytes: Buffer.from("somewhere") });
      expect((await on.client.next()).toString()).toBe("somewhere");
    });
  });

  describe("a peer that may not be reached", () => {
    test("gets nothing, by no way", async () => {
      const on = await scene();
      rig.mayReach = () => false;
      rig.route(...channelLegs(on));
      on.client.send(channelData(channel, "forbidden"), on.listener.at);
      rig.plane.perform({ do: "send", via: on.relay, to: on.peer.at, bytes: Buffer.from("forbidden") });
      on.client.send(Buffer.from("malformed"), on.listener.at);
      const probe = encode({ class: "request", method: 1, transactionId: Buffer.alloc(12), attributes: {} });
      on.client.send(probe, on.listener.at);
      await rig.handed.next();
      await rig.expectDropped("forbidden-peer", 2);
      await expectNothingBefore(on);
      expect(rig.plane.usage(on.relay)?.toPeer.packets).toBe(0);
    });

    test("is asked about by its full address; clients are not asked about", async () => {
      const on = await scene();
      rig.route(...permissionLegs(on));
      rig.route(...channelLegs(on));
      on.client.send(channelData(channel, "out"), on.listener.at);
      await on.peer.next();
      on.peer.send("in", on.at);
      await on.client.next();
      expect(new Set(rig.asked)).toEqual(new Set([on.peer.at]));
    });

    test("is reached once policy allows it and the route is sent again", async () => {
      const on = await scene();
      rig.mayReach = () => false;
      rig.route(...channelLegs(on));
      rig.mayReach = () => true;
      rig.route(...channelLegs(on));
      on.client.send(channelData(channel, "allowed"), on.listener.at);
      expect((await on.peer.next()).toString()).toBe("allowed");
    });
  });
}
