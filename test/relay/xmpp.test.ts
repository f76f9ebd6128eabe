// The whole relay beside a real XMPP server: a user's client asks its own server, and what it is told works.

import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type Client, client } from "@xmpp/client";
import xml from "@xmpp/xml";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { openLog } from "../../src/admin/log.ts";
import { readConfig } from "../../src/config/config.ts";
import { type Relay, startRelay } from "../../src/relay.ts";
import { writeChannelData } from "../../src/stun/channel-data.ts";
import { TurnClient } from "../cli/turn-client.ts";
import { needs } from "../interop/needs.ts";
import { componentDomain, componentSecret, domain, password, type XmppServer } from "../interop/xmpp-server.ts";
import { xmppServers } from "../interop/xmpp-servers.ts";

const extdisco = "urn:xmpp:extdisco:2";
const channel = 0x4000;

describe.each(xmppServers)("a relay beside $name", ({ make, packages }) => {
  describe.runIf(needs(...packages))("that knows it as a component", () => {
    let server: XmppServer;
    let relay: Relay;
    const lines: string[] = [];

    beforeAll(async () => {
      server = await make();
      await server.start();
      const flags = {
        listen: ["udp://127.0.0.1:0", "tcp://127.0.0.1:0"],
        secret: "shared",
        loopback: true,
        metrics: "http://127.0.0.1:0",
        xmpp: { service: server.components, domain: componentDomain, secret: componentSecret },
      };
      const config = readConfig({ flags, env: {} });
      relay = await startRelay(config, { log: openLog(config.log, { write: (line) => void lines.push(line) }) });
      await isOnline();
    });

    afterAll(async () => {
      await relay?.stop();
      await server?.discard();
    });

    function isOnline(): Promise<void> {
      return vi.waitFor(() => expect(relay.componentState()).toBe("online"), { timeout: 40_000 });
    }

    async function login(): Promise<Client> {
      const alice = client({ service: server.clients, domain, username: "alice", password });
      alice.on("error", () => {});
      onTestFinished(async () => {
        alice.reconnect.stop();
        await alice.stop();
      });
      await alice.start();
      return alice;
    }

    async function servicesFor(alice: Client): Promise<Record<string, string>[]> {
      const reply = await alice.iqCaller.request(
        xml("iq", { type: "get", to: domain }, xml("services", { xmlns: extdisco })),
        10_000,
      );
      return (
        reply
          .getChild("services", extdisco)
          ?.getChildren("service")
          .map(({ attrs }) => attrs) ?? []
      );
    }

    test("hands out its listeners with credentials that relay media, also while the XMPP server restarts", async () => {
      const services = await servicesFor(await login());
      const [udp, tcp] = relay.listeners.map(({ at }) => String(at.port));
      expect(services).toMatchObject([
        { type: "stun", host: "127.0.0.1", port: udp },
        { type: "turn", host: "127.0.0.1", port: udp, transport: "udp" },
        { type: "turn", host: "127.0.0.1", port: tcp, transport: "tcp" },
      ]);
      const { username = "", password: credential = "", expires = "" } = services[1] ?? {};
      expect((Date.parse(expires) - Date.now()) / 3_600_000).toBeCloseTo(12, 1);

      const peer = createSocket("udp4", (bytes, from) => peer.send(bytes, from.port, from.address)).bind(
        0,
        "127.0.0.1",
      );
      onTestFinished(() => void peer.close());
      await once(peer, "listening");
      const who = { username, password: credential };
      const caller = await TurnClient.open({ address: "127.0.0.1", port: Number(udp) }, who);
      onTestFinished(() => caller.close());
      expect(await caller.allocate()).toMatchObject({ class: "success" });
      const at = { address: "127.0.0.1", port: peer.address().port };
      const bound = await caller.ask("channelBind", { channelNumber: channel, xorPeerAddress: [at] });
      expect(bound).toMatchObject({ class: "success" });
      await echoes(caller);

      await server.stop();
      await vi.waitFor(() => expect(relay.componentState()).not.toBe("online"));
      await echoes(caller);
      await server.start();
      await isOnline();
      await echoes(caller);
      expect(await servicesFor(await login())).toHaveLength(3);
    });

    test("shows how the connection is, and names nobody", async () => {
      await servicesFor(await login());
      const at = `http://127.0.0.1:${relay.metrics?.port}`;
      const metrics = await (await fetch(`${at}/metrics`)).text();
      expect(metrics).toContain('sluice_component_state{state="online"} 1\n');
      expect(metrics).toMatch(/sluice_xmpp_facts_total\{fact="credentials-issued"\} \d+\n/);
      expect(await (await fetch(`${at}/readyz`)).text()).toContain("component online\n");
      expect(lines.join("")).toContain('"msg":"credentials-issued"');
      for (const kept of ["alice", "shared", componentSecret]) expect(lines.join("")).not.toContain(kept);
    });

    async function echoes(caller: TurnClient): Promise<void> {
      const data = writeChannelData(channel, Buffer.from("to and fro, even"));
      const echoed = caller.receive();
      caller.send(data);
      expect(await echoed).toEqual(Buffer.from(data));
    }
  });
});
