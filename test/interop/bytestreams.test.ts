// Files through our SOCKS5 proxy (XEP-0065), between two slixmpp clients on a real server.

import { client as xmppClient } from "@xmpp/client";
import xml from "@xmpp/xml";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { Relay } from "../../src/relay.ts";
import { connectedRelay } from "./connected-relay.ts";
import { needs } from "./needs.ts";
import { TransferClient } from "./slixmpp-transfer.ts";
import { componentDomain, domain, otherDomain, password, type XmppServer } from "./xmpp-server.ts";
import { xmppServers } from "./xmpp-servers.ts";

const namespace = "http://jabber.org/protocol/bytestreams";
const megabytes = 1_000_000;

describe.each(xmppServers)("bytestreams on $name", ({ make, packages }) => {
  describe.runIf(needs(...packages, "python3-slixmpp"))("between two slixmpp clients", { timeout: 120_000 }, () => {
    let server: XmppServer;
    let relay: Relay;
    let alice: TransferClient;
    let bob: TransferClient;
    const bobs = `bob@${domain}/desk`;

    beforeAll(async () => {
      server = await make();
      await server.start();
      relay = await connectedRelay(server, { xmpp: { proxy65: { listen: ["socks5://127.0.0.1:0"] } } });
      alice = await TransferClient.open(server.clients, `alice@${domain}/phone`);
      bob = await TransferClient.open(server.clients, bobs);
    });

    afterAll(async () => {
      await alice?.close();
      await bob?.close();
      await relay?.stop();
      await server?.discard();
    });

    test.each([
      ["asked for at once", false],
      ["offered first (XEP-0096)", true],
    ])("100 MB, %s, come as they went", async (_, offer) => {
      const before = process.memoryUsage.rss();
      const [sent, taken] = await Promise.all([alice.send(100 * megabytes, bobs, { offer }), bob.take()]);
      expect(sent.error).toBeUndefined();
      expect(taken).toEqual(sent);
      expect(taken.bytes).toBe(100 * megabytes);
      expect(process.memoryUsage.rss() - before).toBeLessThan(50 * megabytes);
    });

    test("what is killed in the middle ends for both, and the next one is none the worse", async () => {
      const stopAfter = 10 * megabytes;
      const [, broken] = await Promise.all([alice.send(100 * megabytes, bobs, { stopAfter }), bob.take()]);
      expect(broken.bytes).toBeLessThan(100 * megabytes);
      await vi.waitFor(() => expect(relay.counters().connections).toBe(0));
      const [sent, taken] = await Promise.all([alice.send(megabytes, bobs), bob.take()]);
      expect(taken).toEqual(sent);
    });

    test("the proxy is there for users of its domains only", async () => {
      const conditions = await Promise.all(
        [
          { username: "alice", domain },
          { username: "mallory", domain: otherDomain },
        ].map(async (account) => {
          const session = xmppClient({ service: server.clients, ...account, password });
          session.on("error", () => {});
          await session.start();
          const asked = xml("iq", { type: "get", to: componentDomain }, xml("query", { xmlns: namespace }));
          const answer = await session.iqCaller.request(asked, 10_000).then(
            (reply) => reply.getChild("query", namespace)?.getChildren("streamhost").length,
            (error) => error.condition,
          );
          await session.stop();
          return answer;
        }),
      );
      expect(conditions).toEqual([1, "forbidden"]);
    });
  });
});
