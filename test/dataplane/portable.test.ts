import { afterEach, describe, expect, test } from "vitest";
import { portableLimits, portablePlane } from "../../src/dataplane/portable.ts";
import { describePlane } from "./conformance.ts";
import { channelData, Rig } from "./rig.ts";

describePlane("the portable plane", portablePlane);

describe("a flood of STUN", () => {
  let rig: Rig;
  afterEach(() => rig.close());

  test("is dropped beyond what the controller takes at once, counted, and stops no media", async () => {
    const handUp = { perAddress: 50, inTotal: 1000 };
    rig = new Rig((options) => portablePlane(options, { ...portableLimits, handUp }));
    const listener = await rig.listen("udp");
    const { relay } = await rig.openRelay(4, listener.socket);
    const [client, peer] = [await rig.udp(), await rig.udp()];
    rig.route(rig.leg(listener.socket, client.at, 0x4000), rig.leg(relay, peer.at));
    for (let packet = 0; packet < 20; packet += 1) client.send(Buffer.alloc(20), listener.at);
    client.send(channelData(0x4000, "media"), listener.at);
    expect((await peer.next()).toString()).toBe("media");
    expect(rig.plane.counters().dropped.flooded).toBe(15);
    expect(await rig.handed.take(5)).toHaveLength(5);
    expect(rig.handed.isEmpty).toBe(true);

    rig.now += 1000;
    client.send(Buffer.alloc(20), listener.at);
    expect(await rig.handed.next()).toMatchObject({ is: "datagram" });
  });
});
