// A10: whom the operator shuts out while the relay runs is not reached any more, whatever was permitted before.

import { describe, expect, test } from "vitest";
import { readConfig } from "../../src/config/config.ts";
import * as wire from "../conformance/wire.ts";
import { openVictim } from "./victim.ts";

const channel = 0x4000;

describe.each(["portable", "auto"])("on the plane %s", (dataplane) => {
  test("A10: a permission, a channel and an open port end at once when their peer is denied, and others go on", async () => {
    const { bench, relay } = await openVictim({ dataplane });
    const { client, relayed } = await bench.allocation();
    const [shutOut, welcome, second] = [await bench.peer(), await bench.peer({ nth: 1 }), await bench.peer({ nth: 1 })];
    for (const [i, { at }] of [shutOut, welcome].entries()) {
      expect(wire.errorCodeOf(await client.bindChannel(channel + i, at))).toBe(0);
    }
    for (const peer of [shutOut, welcome, second]) {
      client.sendTo(peer.at, "open");
      await peer.expect("open");
    }
    const isData = (payload: string) => (frame: { readonly channelData?: wire.ChannelData }) =>
      frame.channelData?.payload.toString() === payload;
    shutOut.send(relayed, "still here");
    await client.next("media", isData("still here"));

    const flags = { listen: ["udp://127.0.0.1:0"], peers: { deny: ["127.0.0.2/32"], "deny-ports": [second.at.port] } };
    await relay.reload(() => readConfig({ flags }));
    client.sendOn(channel, "denied");
    client.sendTo(shutOut.at, "denied");
    client.sendTo(second.at, "denied");
    shutOut.send(relayed, "denied");
    welcome.send(relayed, "welcome");
    await client.next("media", isData("welcome"));
    // Nothing of it was handed to anybody: what comes next is what is sent after it is allowed again.
    expect(client.connection.inbox.take(isData("denied"))).toBeUndefined();
    expect(wire.errorCodeOf(await client.bindChannel(channel, shutOut.at))).toBe(403);
    await relay.reload(() => readConfig({ flags: { ...flags, peers: {} } }));
    expect(wire.errorCodeOf(await client.bindChannel(channel, shutOut.at))).toBe(0);
    client.sendOn(channel, "allowed");
    await shutOut.expect("allowed");
    client.sendTo(second.at, "allowed");
    await second.expect("allowed");
  });
});
