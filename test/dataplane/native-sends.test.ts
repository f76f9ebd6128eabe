// Send indications in the native plane: which its threads forward, and which they ask about.

import { expect, test } from "vitest";
import type { Endpoint } from "../../src/contract.ts";
import type { Attributes } from "../../src/stun/attributes.ts";
import { encode } from "../../src/stun/message.ts";
import { Method } from "../../src/stun/methods.ts";
import { bind, channel, describeNative, nextHandedUp, permit, scene } from "./native-stage.ts";
import { channelData } from "./rig.ts";

function sendIndication(peer: Endpoint, payload: string, further: Attributes = {}): Uint8Array {
  return encode({
    class: "indication",
    method: Method.send,
    transactionId: Buffer.alloc(12, 7),
    attributes: { ...further, xorPeerAddress: [peer], data: Buffer.from(payload) },
  });
}

describeNative(({ rigOf }) => {
  test("forwards Send indications to where the controller has sent before, and no others", async () => {
    const rig = rigOf();
    const on = await scene(rig);
    permit(rig, on, on.peer.at);
    const first = sendIndication(on.peer.at, "first");
    on.client.send(first, on.listener.at);
    expect(await nextHandedUp(rig)).toEqual(first);
    rig.plane.perform({ do: "send", via: on.relay, to: on.peer.at, bytes: Buffer.from("first") });
    expect((await on.peer.next()).toString()).toBe("first");

    on.client.send(sendIndication(on.peer.at, "second"), on.listener.at);
    expect(await on.peer.nextFrom()).toEqual({ bytes: Buffer.from("second"), from: on.at });
    expect(rig.handed.isEmpty).toBe(true);
    expect(rig.plane.usage(on.relay)?.toPeer).toEqual({ packets: 2, bytes: 11 });

    const elsewhere = sendIndication({ ...on.peer.at, port: on.listener.at.port }, "elsewhere");
    on.client.send(elsewhere, on.listener.at);
    expect(await nextHandedUp(rig)).toEqual(elsewhere);
  });

  test("sends unfragmented what it is told to, and asks about every Send indication with DONT-FRAGMENT", async () => {
    const rig = rigOf();
    const on = await scene(rig);
    permit(rig, on, on.peer.at);
    const told = { do: "send", via: on.relay, to: on.peer.at } as const;
    for (const [payload, dontFragment] of [["in pieces"], ["whole", true], ["in pieces again"]] as const) {
      rig.plane.perform({ ...told, bytes: Buffer.from(payload), ...(dontFragment ? { dontFragment } : {}) });
      expect((await on.peer.next()).toString()).toBe(payload);
    }
    const whole = sendIndication(on.peer.at, "whole", { dontFragment: true });
    on.client.send(whole, on.listener.at);
    expect(await nextHandedUp(rig)).toEqual(whole);
    expect(rig.plane.usage(on.relay)?.toPeer.packets).toBe(3);
  });

  test("forwards no Send indication once its permission has ended", async () => {
    const rig = rigOf();
    const on = await scene(rig);
    permit(rig, on, on.peer.at);
    rig.plane.perform({ do: "send", via: on.relay, to: on.peer.at, bytes: Buffer.from("opens the port") });
    await on.peer.next();
    rig.now += 60_000;
    const late = sendIndication(on.peer.at, "late");
    on.client.send(late, on.listener.at);
    expect(await nextHandedUp(rig)).toEqual(late);
  });

  test("forwards no Send indication to a peer that policy forbids, whatever the controller sends", async () => {
    const rig = rigOf({ mayReach: () => false });
    const on = await scene(rig);
    permit(rig, on, on.peer.at);
    rig.plane.perform({ do: "send", via: on.relay, to: on.peer.at, bytes: Buffer.from("forbidden") });
    const again = sendIndication(on.peer.at, "again");
    on.client.send(again, on.listener.at);
    expect(await nextHandedUp(rig)).toEqual(again);
    expect(rig.plane.counters().dropped["forbidden-peer"]).toBe(1);
  });

  test("delivers a Send indication for another of its relay ports, and asks about its other ports", async () => {
    const rig = rigOf({ mayReach: () => false });
    const [alice, bob] = [await scene(rig), await scene(rig)];
    permit(rig, alice, bob.at);
    bind(rig, bob, alice.at);
    alice.client.send(sendIndication(bob.at, "hello"), alice.listener.at);
    expect(await bob.client.next()).toEqual(channelData(channel, "hello"));
    expect(rig.plane.usage(alice.relay)?.toPeer.packets).toBe(1);
    expect(rig.plane.usage(bob.relay)?.toClient.packets).toBe(1);
    expect(rig.handed.isEmpty).toBe(true);

    const service = sendIndication({ ...bob.at, port: alice.listener.at.port }, "a service of ours");
    alice.client.send(service, alice.listener.at);
    expect(await nextHandedUp(rig)).toEqual(service);
  });
});
