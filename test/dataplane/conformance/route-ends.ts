// When a route ends, and how a client that comes from elsewhere gets its routes there.

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Family, Millis } from "../../../src/contract.ts";
import { channelData, type Make, Rig } from "../rig.ts";
import { type Clients, channel, channelLegs, expectNothingBefore, onUdp, openScene, type Scene } from "./scene.ts";

export function describeRouteEnds(make: Make, clients: Clients = onUdp): void {
  let rig: Rig;
  beforeEach(() => {
    rig = new Rig(make);
  });
  afterEach(() => rig.close());
  const scene = (family?: Family) => openScene(rig, clients, family);

  describe("a route ends", () => {
    /** That the route of `channel` carries nothing any more, in neither direction. */
    async function expectEnded(on: Scene): Promise<void> {
      const dropped = rig.plane.counters().dropped["no-channel"];
      const other = await rig.udp(on.peer.at.address);
      rig.route(...channelLegs({ ...on, peer: other }, channel + 9));
      on.client.send(channelData(channel, "late"), on.listener.at);
      on.client.send(channelData(channel + 9, "marker"), on.listener.at);
      expect((await other.next()).toString()).toBe("marker");
      on.peer.send("late", on.at);
      other.send("marker", on.at);
      expect(await on.client.next()).toEqual(channelData(channel + 9, "marker"));
      await expectNothingBefore(on);
      await rig.expectDropped("no-channel", dropped + 1);
    }

    test.each(["client", "peer"] as const)("when the %s's leg does, and not before", async (side) => {
      const on = await scene();
      const [client, peer] = channelLegs(on);
      const until = rig.now + 5000;
      rig.route(side === "client" ? { ...client, until } : client, side === "peer" ? { ...peer, until } : peer);
      rig.now = until - 1;
      on.client.send(channelData(channel, "alive"), on.listener.at);
      expect((await on.peer.next()).toString()).toBe("alive");
      on.peer.send("alive", on.at);
      expect(await on.client.next()).toEqual(channelData(channel, "alive"));
      rig.now = until;
      await expectEnded(on);
    });

    test("later when it is sent again with a later end", async () => {
      const on = await scene();
      const [client, peer] = channelLegs(on);
      rig.route({ ...client, until: rig.now + 10 }, peer);
      rig.route({ ...client, until: rig.now + 20 }, peer);
      rig.now += 19;
      on.client.send(channelData(channel, "alive"), on.listener.at);
      expect((await on.peer.next()).toString()).toBe("alive");
      rig.now += 1;
      await expectEnded(on);
    });

    test("when it is unrouted, whatever end is named", async () => {
      const on = await scene();
      const [client, peer] = channelLegs(on);
      rig.route(client, peer);
      rig.unroute({ ...client, until: 0 }, { ...peer, until: 0 });
      await expectEnded(on);
    });

    test("when another route claims one of its legs, and unrouting it then does not end the other", async () => {
      const on = await scene();
      rig.route(...channelLegs(on));
      rig.route(...channelLegs(on, channel + 1));
      rig.unroute(...channelLegs(on));
      on.client.send(channelData(channel, "late"), on.listener.at);
      on.client.send(channelData(channel + 1, "out"), on.listener.at);
      expect((await on.peer.next()).toString()).toBe("out");
      on.peer.send("in", on.at);
      expect(await on.client.next()).toEqual(channelData(channel + 1, "in"));
    });
  });

  describe("a client that is expected", () => {
    function expectFrom({ via, client }: Pick<Scene, "via" | "client">, until: Millis): void {
      rig.plane.perform({ do: "expect", via, from: client.at, until });
    }

    test("has its ChannelData handed up, until then or for as long as it is expected", async () => {
      const on = await scene();
      rig.route(...channelLegs(on));
      const frame = channelData(channel, "here");
      expectFrom(on, rig.now + 1000);
      on.client.send(channelData(channel, "routed"), on.listener.at);
      expect((await on.peer.next()).toString()).toBe("routed");
      const joined = await clients.join(rig, on.listener, 4);
      const other = joined.client;
      expectFrom(joined, rig.now + 1000);
      other.send(frame, on.listener.at);
      const { is, via, from, bytes } = { via: 0, from: other.at, bytes: Buffer.alloc(0), ...(await rig.handed.next()) };
      expect({ is, via, from, bytes: Buffer.from(bytes) }).toEqual({
        is: "datagram",
        via: joined.via,
        from: other.at,
        bytes: frame,
      });
      rig.now += 999;
      other.send(frame, on.listener.at);
      expect(await rig.handed.next()).toMatchObject({ is: "datagram", from: other.at });
      rig.now += 1;
      other.send(frame, on.listener.at);
      await rig.expectDropped("no-channel", 1);
      expectFrom(joined, rig.now + 1000);
      expectFrom(joined, 0);
      other.send(frame, on.listener.at);
      await rig.expectDropped("no-channel", 2);
    });

    test.each([1, 2, 3, 4, 5, 6])(
      "is served through the same relay port once its routes are there, %d times",
      async (times) => {
        let on = await scene();
        rig.route(...channelLegs(on));
        for (let time = 0; time < times; time++) on = await move(on, await clients.join(rig, on.listener, 4));
        on.client.send(channelData(channel, "out"), on.listener.at);
        expect(await on.peer.nextFrom()).toEqual({ bytes: Buffer.from("out"), from: on.at });
        on.peer.send("in", on.at);
        expect(await on.client.next()).toEqual(channelData(channel, "in"));
      },
    );

    async function move(former: Scene, to: Pick<Scene, "via" | "client">): Promise<Scene> {
      const on = { ...former, ...to };
      rig.route(...channelLegs(on));
      rig.unroute(...channelLegs(former));
      const dropped = rig.plane.counters().dropped["no-channel"];
      former.client.send(channelData(channel, "from before"), on.listener.at);
      await rig.expectDropped("no-channel", dropped + 1);
      return on;
    }
  });
}
