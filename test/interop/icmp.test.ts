// ICMP errors as real routers and links make them, heard by the native plane (RFC 8656 section 11.5).

import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import type { Endpoint } from "../../src/contract.ts";
import { obstacleToNative } from "../dataplane/native-obstacle.ts";
import { NatLab, server } from "./nat-lab.ts";
import { needs, needsNetworkNamespaces } from "./needs.ts";
import { run } from "./program.ts";

const program = fileURLToPath(new URL("./errors-heard.mjs", import.meta.url));
const isPossible = obstacleToNative() === undefined && needs("iproute2", "nftables") && needsNetworkNamespaces();

interface Packet {
  readonly to: Endpoint;
  readonly bytes: number;
  readonly dontFragment?: boolean;
}

interface Heard {
  readonly peer: Endpoint;
  readonly type: number;
  readonly code: number;
  readonly data: number;
}

/** Of the router's way out; the link to it takes 1500. */
const narrowBytes = 1400;
const far = { address: server.primary, port: 9 };

describe.runIf(isPossible)("a plane behind a router", { timeout: 60_000 }, () => {
  const lab = new NatLab();

  async function ip(namespace: string, ...commands: string[]): Promise<void> {
    for (const command of commands) {
      const { exitCode, output } = await run("ip", ["-n", namespace, ...command.split(" ")]);
      if (exitCode !== 0) throw new Error(`${command}: ${output}`);
    }
  }

  async function hears(bind: string, byRing: boolean, packets: readonly Packet[]): Promise<Heard[]> {
    const { output } = await lab.runBehind("none", process.execPath, [
      program,
      JSON.stringify({ bind, byRing, packets }),
    ]);
    return JSON.parse(output);
  }

  beforeAll(async () => {
    expect(inject("buildFaults")).toBe("");
    await lab.start();
    const { nat: router, inside } = lab.behind("none");
    await ip(router, `link set wan mtu ${narrowBytes}`, "route add unreachable 203.0.113.9");
    await ip(router, "addr add 2001:db8:1::1/64 dev lan nodad", "addr add 2001:db8:2::2/64 dev wan nodad");
    await ip(router, "route add unreachable 2001:db8:3::/64");
    await run("ip", ["netns", "exec", router, "sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/all/forwarding"]);
    await ip(inside, "addr add 2001:db8:1::2/64 dev eth0 nodad", "route add default via 2001:db8:1::1");
  });

  afterAll(() => lab.close());

  test.each([true, false])("hears of hosts out of reach and of links too narrow, by io_uring: %s", async (byRing) => {
    const nowhere = { address: "203.0.113.9", port: 9 };
    const tooBig = { peer: far, type: 3, code: 4 };
    const { client } = lab.behind("none");
    expect(
      await hears(client, byRing, [
        { to: nowhere, bytes: 100 },
        { to: far, bytes: 1450, dontFragment: true },
        // The link of this machine refuses what is longer than itself; and no packet was kept from the router for it.
        { to: far, bytes: 1550, dontFragment: true },
        { to: far, bytes: 1450, dontFragment: true },
      ]),
    ).toEqual([
      { peer: nowhere, type: 3, code: 1, data: 0 },
      { ...tooBig, data: narrowBytes },
      { ...tooBig, data: 1500 },
      { ...tooBig, data: narrowBytes },
    ]);
  });

  // The system knows the way after one packet, and sends the next in fragments.
  test.each([
    [true, "2001:db8:2::1"],
    [false, "2001:db8:2::3"],
  ])("hears the same over IPv6, by io_uring: %s", async (byRing, address) => {
    const farSixth = { address, port: 9 };
    const nowhere = { address: "2001:db8:3::1", port: 9 };
    const [unreachable, tooBig] = await hears("2001:db8:1::2", byRing, [
      { to: nowhere, bytes: 100 },
      { to: farSixth, bytes: 1450 },
    ]);
    expect(unreachable).toMatchObject({ peer: nowhere, type: 1 });
    expect(tooBig).toEqual({ peer: farSixth, type: 2, code: 0, data: narrowBytes });
  });
});
