import { describe, expect, test } from "vitest";
import { familyOf } from "../../src/contract.ts";
import { writeChannelData } from "../../src/stun/channel-data.ts";
import { forbiddenPeers } from "./forbidden-peers.ts";
import { codeOf, World } from "./world.ts";

const data = new Uint8Array(8);

describe.each(forbiddenPeers)("$address ($why) is not to be had", ({ address }) => {
  test("by CreatePermission, ChannelBind, Send or ChannelData", () => {
    const world = new World({ peers: { relayAddresses: ["5.6.7.8"], listeners: [] } });
    const client = world.client();
    client.allocates({ requestedAddressFamily: familyOf(address) });
    const forbidden = { address, port: 4000 };

    expect(codeOf(client.asks("createPermission", { xorPeerAddress: [forbidden] }))).toBe(403);
    expect(codeOf(client.asks("channelBind", { channelNumber: 0x4000, xorPeerAddress: [forbidden] }))).toBe(403);
    expect(world.routes).toEqual([]);

    expect(client.indicates({ xorPeerAddress: [forbidden], data })).toEqual([]);
    client.sends(writeChannelData(0x4000, data));
    expect(world.actions).toEqual([]);
  });
});
