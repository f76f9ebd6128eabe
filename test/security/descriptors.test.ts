// D12: clients on TCP take every file that the relay may open. Who is in stays in, who comes is refused, and it passes.

import { once } from "node:events";
import { connect } from "node:net";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { Bench, expectChannelData } from "../conformance/bench.ts";
import { connected, crossing } from "../conformance/rfc6062.ts";
import * as wire from "../conformance/wire.ts";
import { obstacleToNative } from "../dataplane/native-obstacle.ts";
import { startRelayProcess } from "./relay-process.ts";
import { alice, bob } from "./victim.ts";

const planes = obstacleToNative() ? (["portable"] as const) : (["portable", "native"] as const);
/** More than a relay needs to start, and fewer than one host may have connections. */
const files = 400;
const channel = 0x4000;

/** Opens connections that say nothing, until one is closed at once. Returns how to close the others. */
async function takeAllFiles(port: number): Promise<() => void> {
  const taken = Array.from({ length: files }, () => connect(port, "127.0.0.1").on("error", () => {}));
  const giveBack = () => taken.forEach((socket) => void socket.destroy());
  onTestFinished(giveBack);
  await Promise.race(taken.map((socket) => once(socket, "close")));
  return giveBack;
}

describe.each(planes)("D12: on the plane %s, when clients on TCP have all files that may be open", (dataplane) => {
  test("who is in goes on, who comes is refused, and nothing of it stays", { timeout: 60_000 }, async () => {
    const relay = await startRelayProcess(dataplane, { files, keys: { "relay-tcp": true } });
    const bench = new Bench({
      servers: [{ address: "127.0.0.1", port: relay.port }],
      credentials: [alice, bob],
      peerAddresses: ["127.0.0.2"],
    });
    onTestFinished(() => bench.close());

    /** A call that goes on in both directions each time. */
    async function call(transport: "udp" | "tcp"): Promise<() => Promise<void>> {
      const [{ client, relayed }, peer] = [await bench.allocation({ transport }), await bench.peer()];
      expect(wire.errorCodeOf(await client.bindChannel(channel, peer.at))).toBe(0);
      return async () => {
        client.sendOn(channel, "out");
        await peer.expect("out");
        peer.send(relayed, "back");
        await expectChannelData(client, channel, "back");
      };
    }
    const calls = [await call("udp"), await call("tcp")];
    const joined = await connected(bench);
    const goOn = async () => {
      for (const each of calls) await each();
      await crossing(joined.far, joined.near, 100_000);
      await crossing(joined.near, joined.far, 100_000);
    };
    await goOn();

    const before = relay.complaints().length;
    const giveBack = await takeAllFiles(relay.port);
    const latecomer = await bench.client({ credential: bob });
    expect(wire.errorCodeOf(await latecomer.allocate())).toBe(508);
    await vi.waitFor(() => expect(relay.complaints().at(-1)).toContain("no more files can be opened"), 5000);
    await goOn();

    giveBack();
    await vi.waitFor(async () => expect(wire.errorCodeOf(await latecomer.allocate())).toBe(0), 10_000);
    for (const transport of ["udp", "tcp"] as const) await (await call(transport))();
    await connected(bench);
    await goOn();
    expect(relay.complaints()).toHaveLength(before + 1);
  });
});
