// A relay whose component is there for the users of a real XMPP server.

import { expect, vi } from "vitest";
import { openLog } from "../../src/admin/log.ts";
import { readConfig } from "../../src/config/config.ts";
import { type Relay, startRelay } from "../../src/relay.ts";
import { componentDomain, componentSecret, type XmppServer } from "./xmpp-server.ts";

export interface ConnectedWishes {
  /** Keys of `xmpp`, beside those that connect it. */
  readonly xmpp: Readonly<Record<string, unknown>>;
  readonly dataplane?: string;
  /** Where metrics are, such as `http://127.0.0.1:9641`. Nowhere if not said. */
  readonly metrics?: string;
  /** Takes the lines of the log. */
  readonly write?: (line: string) => void;
}

/** Peers may be on loopback. Resolves when the component is online. */
export async function connectedRelay(server: XmppServer, wishes: ConnectedWishes): Promise<Relay> {
  const { xmpp, dataplane = "auto", metrics = "none", write = () => {} } = wishes;
  const flags = {
    listen: ["udp://127.0.0.1:0"],
    secret: "a shared secret",
    loopback: true,
    "relay-address": "127.0.0.1",
    metrics,
    dataplane,
    xmpp: { service: server.components, domain: componentDomain, secret: componentSecret, ...xmpp },
  };
  const config = readConfig({ flags, env: {} });
  const log = openLog(config.log, { write });
  const relay = await startRelay(config, { log });
  await vi.waitFor(() => expect(relay.componentState()).toBe("online"), { timeout: 20_000 });
  return relay;
}
