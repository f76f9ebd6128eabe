// A7: what scanners of networks behind relays try (such as firefart's stunner, which is not packaged): with credentials,
// each address of the ranges that a relay may stand before is asked for in each way there is, over UDP and over TCP.

import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { formatAddress } from "../../src/stun/address.ts";
import { cidrOf } from "../../src/turn/cidr.ts";
import { specialPurposeRanges } from "../../src/turn/special-purpose.ts";
import type { Client } from "../conformance/client.ts";
import * as wire from "../conformance/wire.ts";
import { openVictim, type Victim } from "./victim.ts";

const tcp = 6;
/** RFC 6062. */
const connect = 0x00a;
const hostsOfEachRange = 24;
const firstChannel = 0x4000;

/** From the first address of a range to the last, at even distances. */
function hostsOf(range: string): string[] {
  const { prefix, bits } = cidrOf(range);
  const first = BigInt(`0x${Buffer.from(prefix).toString("hex")}`);
  const size = 1n << BigInt(prefix.length * 8 - bits);
  const hosts = Array.from({ length: hostsOfEachRange }, (_, i) => {
    const number = first + ((size - 1n) * BigInt(i)) / BigInt(hostsOfEachRange - 1);
    return formatAddress(Buffer.from(number.toString(16).padStart(prefix.length * 2, "0"), "hex"));
  });
  return [...new Set(hosts)];
}

/** Listens at one port on every address of this machine, over UDP and TCP, and counts what comes. */
class Traps {
  readonly port: number;
  caught = 0;
  marked = 0;
  readonly #sockets: readonly (Socket | Server)[];

  private constructor(udp: readonly Socket[], servers: readonly Server[]) {
    this.port = udp[0]?.address().port ?? 0;
    this.#sockets = [...udp, ...servers];
    for (const socket of udp) {
      socket.on("message", (bytes) => {
        if (bytes.toString() === "marker") this.marked += 1;
        else this.caught += 1;
      });
    }
    for (const server of servers) {
      server.on("connection", (socket) => {
        this.caught += 1;
        socket.destroy();
      });
    }
  }

  static async open(): Promise<Traps> {
    const [four, six] = [createSocket("udp4"), createSocket({ type: "udp6", ipv6Only: true })];
    four.bind(0, "0.0.0.0");
    await once(four, "listening");
    const { port } = four.address();
    six.bind(port, "::");
    const server = createServer().listen(port, "::");
    await Promise.all([once(six, "listening"), once(server, "listening")]);
    const traps = new Traps([four, six], [server]);
    onTestFinished(() => traps.#sockets.forEach((socket) => void socket.close()));
    return traps;
  }

  /** Resolves when everything that was sent before has come. */
  async settle(): Promise<void> {
    const markers = [createSocket("udp4"), createSocket("udp6")];
    markers[0]?.send("marker", this.port, "127.0.0.1");
    markers[1]?.send("marker", this.port, "::1");
    await vi.waitFor(() => expect(this.marked).toBeGreaterThanOrEqual(2));
    for (const marker of markers) marker.close();
  }
}

describe.each(["portable", "auto"])("on the plane %s", { timeout: 60_000 }, (dataplane) => {
  const listen = ["udp://127.0.0.1:0", "tcp://127.0.0.1:0"];
  const codes = new Map<number, number>();
  const count = (reply: wire.Reading) => {
    const code = wire.errorCodeOf(reply);
    codes.set(code, (codes.get(code) ?? 0) + 1);
  };

  async function scanByUdp(client: Client, hosts: readonly wire.Endpoint[]): Promise<void> {
    for (const [i, host] of hosts.entries()) {
      count(await client.createPermission(host));
      count(await client.bindChannel(firstChannel + i, host));
      client.sendTo(host, "is anybody there?");
      client.sendOn(firstChannel + i, "is anybody there?");
    }
    await client.mark();
  }

  async function scanByTcp(client: Client, hosts: readonly wire.Endpoint[]): Promise<void> {
    expect(wire.errorCodeOf(await client.ask(wire.method.allocate, [wire.requestedTransport(tcp)]))).toBe(0);
    for (const host of hosts) count(await client.ask(connect, [wire.xorPeerAddress(host)]));
  }

  async function scan({ bench, at }: Victim, range: string, port: number): Promise<void> {
    const hosts = hostsOf(range).map((address) => ({ address, port }));
    const options = { server: at("udp") };
    const { client } = range.includes(":") ? await bench.allocation6(options) : await bench.allocation(options);
    await scanByUdp(client, hosts);
    if (!range.includes(":")) await scanByTcp(await bench.client({ transport: "tcp", server: at("tcp") }), hosts);
    await bench.close();
  }

  test("A7: a scan of every range that is not public finds nothing, and touches nothing", async () => {
    const traps = await Traps.open();
    const relayAddress = ["127.0.0.77", "::1"];
    const flags = { listen, dataplane, "relay-tcp": true, loopback: false, "relay-address": relayAddress };
    const victim = await openVictim(flags);
    for (const range of specialPurposeRanges) await scan(victim, range, traps.port);
    await traps.settle();
    expect(traps.caught).toBe(0);
    expect([...codes.keys()]).toEqual([403]);
    expect(codes.get(403)).toBeGreaterThan(1500);
    expect(victim.relay.counters().relayed).toEqual([]);
  });
});
