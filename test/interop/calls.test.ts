// The whole of it, with nothing of ours at either end: users of a real XMPP server ask it for a relay, their WebRTC peers
// talk through what they are told, and go on talking while the XMPP server restarts.

import { type Client, client } from "@xmpp/client";
import xml from "@xmpp/xml";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { openLog } from "../../src/admin/log.ts";
import { readConfig } from "../../src/config/config.ts";
import type { PlaneCounters } from "../../src/contract.ts";
import { type Relay, startRelay } from "../../src/relay.ts";
import { needs } from "./needs.ts";
import { type IceServer, WebrtcCall } from "./webrtc-call.ts";
import { componentDomain, componentSecret, domain, password, type XmppServer } from "./xmpp-server.ts";
import { xmppServers } from "./xmpp-servers.ts";

const extdisco = "urn:xmpp:extdisco:2";
/** Packets in each direction that show that a call goes on. */
const somePackets = 100;

describe.each(xmppServers)("users of $name", ({ make, packages }) => {
  describe.runIf(needs(...packages))("with a relay beside it", () => {
    let server: XmppServer;
    let relay: Relay;
    const logged: string[] = [];

    beforeAll(async () => {
      server = await make();
      await server.start();
      const flags = {
        listen: ["udp://127.0.0.1:0", "tcp://127.0.0.1:0"],
        secret: "shared",
        loopback: true,
        "relay-address": "127.0.0.1",
        metrics: "http://127.0.0.1:0",
        xmpp: { service: server.components, domain: componentDomain, secret: componentSecret },
      };
      const config = readConfig({ flags, env: {} });
      relay = await startRelay(config, { log: openLog(config.log, { write: (line) => void logged.push(line) }) });
      await isOnline();
    });

    afterAll(async () => {
      await relay?.stop();
      await server?.discard();
    });

    test("are told its listeners, with credentials for twelve hours", async () => {
      const services = await servicesFor(await login("alice"));
      const [udp, tcp] = relay.listeners.map(({ at }) => `${at.port}`);
      expect(services).toMatchObject([
        { type: "stun", host: "127.0.0.1", port: udp },
        { type: "turn", host: "127.0.0.1", port: udp, transport: "udp" },
        { type: "turn", host: "127.0.0.1", port: tcp, transport: "tcp" },
      ]);
      expect((Date.parse(services[1]?.expires ?? "") - Date.now()) / 3_600_000).toBeCloseTo(12, 1);
    });

    test("call each other through it, and a restart of the server takes nothing from the call", async () => {
      const [alice, bob] = [await login("alice"), await login("bob")];
      const first = await call(await turnOf(alice), await turnOf(bob));
      const droppedBefore = dropped();
      await talkGoesOn();

      await server.stop();
      await vi.waitFor(() => expect(relay.componentState()).not.toBe("online"), { timeout: 10_000 });
      await talkGoesOn();
      await server.start();
      await isOnline();
      for (const user of [alice, bob]) await vi.waitFor(() => expect(user.status).toBe("online"), { timeout: 10_000 });
      await talkGoesOn();
      expect(dropped()).toEqual(droppedBefore);

      const second = await call(await turnOf(alice), await turnOf(bob));
      const outcomes = [await first.hangUp()];
      await talkGoesOn();
      outcomes.push(await second.hangUp());
      for (const { sent, echoed, lost } of outcomes) expect({ echoed, lost }).toEqual({ echoed: sent, lost: 0 });
    }, 90_000);

    test("are counted and logged by the relay, and not named", async () => {
      await servicesFor(await login("bob"));
      const at = `http://127.0.0.1:${relay.metrics?.port}`;
      const metrics = await (await fetch(`${at}/metrics`)).text();
      expect(metrics).toContain('sluice_component_state{state="online"} 1\n');
      expect(metrics).toMatch(/sluice_xmpp_facts_total\{fact="credentials-issued"\} \d+\n/);
      expect(await (await fetch(`${at}/readyz`)).text()).toContain("component online\n");
      expect(logged.join("")).toContain('"msg":"credentials-issued"');
      for (const kept of ["alice", "bob", "shared", componentSecret]) expect(logged.join("")).not.toContain(kept);
    });

    async function isOnline(): Promise<void> {
      await vi.waitFor(() => expect(relay.componentState()).toBe("online"), { timeout: 40_000 });
    }

    async function login(username: string): Promise<Client> {
      const user = client({ service: server.clients, domain, username, password });
      // While its server is away, it says so at every attempt to come back.
      user.on("error", () => {});
      onTestFinished(async () => {
        user.reconnect.stop();
        await user.stop();
      });
      await user.start();
      return user;
    }

    /** What the user's own server says of STUN and TURN. */
    async function servicesFor(user: Client): Promise<Record<string, string>[]> {
      const question = xml("iq", { type: "get", to: domain }, xml("services", { xmlns: extdisco }));
      const reply = await user.iqCaller.request(question, 10_000);
      const services = reply.getChild("services", extdisco)?.getChildren("service") ?? [];
      return services.map(({ attrs }) => attrs);
    }

    async function turnOf(user: Client): Promise<IceServer> {
      const services = await servicesFor(user);
      const turn = services.find(({ type, transport }) => type === "turn" && transport === "udp");
      const { host = "", port, username = "", password = "" } = turn ?? {};
      return { hostname: host, port: Number(port), username, password };
    }

    async function call(caller: IceServer, callee: IceServer): Promise<WebrtcCall> {
      expect(caller.username).not.toBe(callee.username);
      const opened = await WebrtcCall.open(caller, callee);
      onTestFinished(() => opened.discard());
      return opened;
    }

    function packets(): { toPeer: number; toClient: number } {
      const sum = (direction: string) =>
        relay.counters().relayed.reduce((total, row) => total + (row.direction === direction ? row.packets : 0), 0);
      return { toPeer: sum("to-peer"), toClient: sum("to-client") };
    }

    /** But for what comes from where nobody has permission: ICE goes on trying such paths for a while. */
    function dropped(): Omit<PlaneCounters["dropped"], "no-permission"> {
      const { "no-permission": _, ...others } = relay.counters().dropped;
      return others;
    }

    /** By the relay's own counters, since peers that found a way around it would say the same. */
    async function talkGoesOn(): Promise<void> {
      const { toPeer, toClient } = packets();
      const isMore = () => {
        const now = packets();
        expect(Math.min(now.toPeer - toPeer, now.toClient - toClient)).toBeGreaterThan(somePackets);
      };
      await vi.waitFor(isMore, { timeout: 20_000 });
    }
  });
});
