// Limits on traffic: how much passes through relay ports, and through all that share a bucket.

import { afterEach, describe, expect, test } from "vitest";
import type { Listener, SocketId, TrafficLimit } from "../../../src/contract.ts";
import { encode } from "../../../src/stun/message.ts";
import { Method } from "../../../src/stun/methods.ts";
import { pad } from "../../../src/stun/stream.ts";
import { channelData, type Make, Rig, until } from "../rig.ts";

const channel = 0x4000;
const total = { bucket: "total", packetsPerSecond: 5 };

export function describeLimits(make: Make): void {
  let rig: Rig;

  /** A relay port with limits, and a channel over it. */
  async function relayed(limits: readonly TrafficLimit[], listener: Listener) {
    const { relay, at } = await rig.openRelay(4, listener.socket, limits);
    const [client, peer] = [await rig.udp(), await rig.udp()];
    rig.route(rig.leg(listener.socket, client.at, channel), rig.leg(relay, peer.at));
    return {
      relay,
      at,
      peer,
      toPeer: (payload: string) => client.send(channelData(channel, payload), listener.at),
      toClient: (payload: string) => peer.send(payload, at),
    };
  }

  function repeated(send: (payload: string) => void, payload = "media", times = 8): void {
    for (let packet = 0; packet < times; packet += 1) send(payload);
  }

  function toPeer(relay: SocketId) {
    return rig.plane.usage(relay)?.toPeer;
  }

  describe("limits on traffic", () => {
    afterEach(() => rig.close());

    test("hold for packets, in each direction by itself, and are counted", async () => {
      rig = new Rig(make);
      const { toPeer, toClient } = await relayed([total], await rig.listen("udp"));
      repeated(toPeer);
      await rig.expectDropped("limited", 3);
      repeated(toClient);
      await rig.expectDropped("limited", 6);
      await until(() => rig.relayedPackets === 10);

      rig.now += 1000;
      repeated(toPeer);
      await rig.expectDropped("limited", 9);
      await until(() => rig.relayedPackets === 15);
    });

    test("hold for bytes of payload", async () => {
      rig = new Rig(make);
      const limits = [{ bucket: "allocation 1", bytesPerSecond: 1000 }];
      const { relay, toPeer: send } = await relayed(limits, await rig.listen("udp"));
      repeated(send, "x".repeat(250));
      await rig.expectDropped("limited", 4);
      await until(() => toPeer(relay)?.packets === 4);
      expect(toPeer(relay)).toEqual({ packets: 4, bytes: 1000 });
    });

    test("hold together, and one that holds a packet back takes nothing from the others", async () => {
      rig = new Rig(make);
      const listener = await rig.listen("udp");
      const few = { bucket: "few", packetsPerSecond: 2 };
      const [limited, free] = [await relayed([total, few], listener), await relayed([total], listener)];
      repeated(limited.toPeer);
      await rig.expectDropped("limited", 6);
      repeated(free.toPeer);
      await rig.expectDropped("limited", 11);
      const counts = () => [limited, free].map(({ relay }) => toPeer(relay)?.packets).join();
      await until(() => counts() === "2,3");
    });

    test("are shared by relay ports that name the same bucket, and outlive each of them", async () => {
      rig = new Rig(make);
      const listener = await rig.listen("udp");
      const [one, other] = [await relayed([total], listener), await relayed([total], listener)];
      repeated(one.toPeer);
      await rig.expectDropped("limited", 3);
      await until(() => rig.relayedPackets === 5);
      rig.plane.perform({ do: "close-relay", relay: one.relay });
      repeated(other.toPeer);
      await rig.expectDropped("limited", 11);
      rig.plane.perform({ do: "close-relay", relay: other.relay });
      await until(() => rig.facts.length === 2);
      repeated((await relayed([total], listener)).toPeer);
      await rig.expectDropped("limited", 19);
      repeated((await relayed([], listener)).toPeer);
      await until(() => rig.relayedPackets === 13);
    });

    test("are shared by the relay ports of clients on datagrams and of clients on streams", async () => {
      rig = new Rig(make);
      const onDatagrams = await relayed([total], await rig.listen("udp"));
      const client = await rig.tcp(await rig.listen("tcp"));
      client.send(
        encode({ class: "request", method: Method.binding, transactionId: Buffer.alloc(12), attributes: {} }),
      );
      const input = await rig.handed.next();
      if (input.is !== "datagram") throw new Error(`handed ${JSON.stringify(input)}`);
      const { relay } = await rig.openRelay(4, input.via, [total]);
      rig.route(rig.leg(input.via, client.at, channel), rig.leg(relay, onDatagrams.peer.at));
      repeated((payload) => client.send(pad(channelData(channel, payload))), "media", 3);
      await until(() => toPeer(relay)?.packets === 3);
      repeated(onDatagrams.toPeer);
      await rig.expectDropped("limited", 6);
      repeated((payload) => client.send(pad(channelData(channel, payload))), "media", 3);
      await rig.expectDropped("limited", 9);
    });

    test("hold at each of two relay ports that a packet passes through", async () => {
      rig = new Rig(make, { mayReach: () => false });
      const listener = await rig.listen("udp");
      const [near, far] = [await relayed([], listener), await relayed([total], listener)];
      const client = await rig.udp();
      rig.route(rig.leg(listener.socket, client.at, channel), rig.leg(near.relay, far.at));
      rig.route(rig.leg(listener.socket, (await rig.udp()).at, channel), rig.leg(far.relay, near.at));
      repeated((payload) => client.send(channelData(channel, payload), listener.at));
      await rig.expectDropped("limited", 3);
      await until(() => toPeer(near.relay)?.packets === 8 && rig.plane.usage(far.relay)?.toClient.packets === 5);
    });

    test("hold for what the controller sends on a client's behalf", async () => {
      rig = new Rig(make);
      const { relay, peer } = await relayed([total], await rig.listen("udp"));
      repeated((payload) => rig.plane.perform({ do: "send", via: relay, to: peer.at, bytes: Buffer.from(payload) }));
      await rig.expectDropped("limited", 3);
      await until(() => toPeer(relay)?.packets === 5);
    });
  });
}
