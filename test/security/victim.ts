// A relay to be attacked, and attackers: clients that say anything (test/conformance), from loopback addresses of their own.

import { onTestFinished } from "vitest";
import { readConfig } from "../../src/config/config.ts";
import type { Transport } from "../../src/contract.ts";
import { type Relay, startRelay } from "../../src/relay.ts";
import { Bench } from "../conformance/bench.ts";
import type { Credential } from "../conformance/client.ts";
import type { Endpoint } from "../conformance/wire.ts";

export const alice: Credential = { username: "alice", password: "wonderland" };
export const bob: Credential = { username: "bob", password: "builder" };
export const secret = "rabbit";

export interface Victim {
  readonly relay: Relay;
  readonly bench: Bench;
  at(transport: Transport): Endpoint;
}

/** With what else the configuration is to say. It is stopped when the test is over. */
export async function openVictim(flags: object = {}): Promise<Victim> {
  const config = readConfig({
    flags: {
      listen: ["udp://127.0.0.1:0"],
      user: { [alice.username]: alice.password, [bob.username]: bob.password },
      secret,
      loopback: true,
      "relay-address": "127.0.0.1",
      metrics: "none",
      log: { level: "silent" },
      ...flags,
    },
    env: {},
  });
  const relay = await startRelay(config);
  const at = (transport: Transport) => relay.listeners.find((each) => each.transport === transport)?.at ?? nowhere;
  const bench = new Bench({
    servers: relay.listeners.map((each) => each.at),
    credentials: [alice, bob],
    secret,
    peerAddresses: ["127.0.0.2", "127.0.0.3"],
  });
  onTestFinished(async () => {
    await bench.close();
    await relay.stop();
  });
  return { relay, bench, at };
}

const nowhere: Endpoint = { address: "127.0.0.1", port: 0 };
