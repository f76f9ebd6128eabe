// Clients that come by HTTP get what all others get: over BOSH (XEP-0124) and over WebSocket (RFC 7395).

import { type Client, client } from "@xmpp/client";
import xml, { type Element } from "@xmpp/xml";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type Component, startComponent } from "../../src/component/component.ts";
import { writeXml } from "../xmpp/read-xml.ts";
import { BoshClient } from "./bosh.ts";
import { needs } from "./needs.ts";
import { componentDomain, componentSecret, domain, password, type XmppServer } from "./xmpp-server.ts";
import { xmppServers } from "./xmpp-servers.ts";

const extdisco = "urn:xmpp:extdisco:2";
const caps = "http://jabber.org/protocol/caps";
const bytestreams = "http://jabber.org/protocol/bytestreams";
const discoInfo = "http://jabber.org/protocol/disco#info";

type Ask = (iq: Element) => Promise<Element>;

describe.each(xmppServers)("on $name", ({ make, packages }) => {
  describe.runIf(needs(...packages))("a client", () => {
    let server: XmppServer;
    let component: Component;
    const ends: (() => Promise<unknown>)[] = [];
    const ways = new Map<string, Ask>();

    beforeAll(async () => {
      server = await make();
      await server.start();
      const noon = Date.UTC(2026, 0, 1, 12);
      component = startComponent({
        service: server.components,
        domain: componentDomain,
        secret: componentSecret,
        services: () => [
          { type: "stun", host: "127.0.0.9", port: 3478 },
          { type: "turns", host: "127.0.0.9", port: 443, transport: "tcp" },
        ],
        bytestreams: { hosts: () => [{ host: "127.0.0.9", port: 7777 }], activate: () => "nobody-waits" },
        openChannel: (_, answered) => answered("exhausted"),
        allowPrivate: true,
        userKey: "user key",
        mint: (user) => ({ username: `1:${user}`, password: "minted", expires: noon }),
        version: "test",
        report: () => {},
      });
      await vi.waitFor(() => expect(component.state()).toMatchObject({ state: "online" }), { timeout: 20_000 });

      const bosh = await BoshClient.login({ service: server.bosh, domain, username: "alice", password });
      ends.push(() => bosh.stop());
      ways.set("BOSH", (iq) => bosh.request(iq));
      for (const [way, service] of [
        ["WebSocket", server.webSocket],
        ["TCP", server.clients],
      ] as const) {
        const session: Client = client({ service, domain, username: "alice", password });
        session.on("error", () => {});
        await session.start();
        ends.push(() => session.stop());
        ways.set(way, (iq) => session.iqCaller.request(iq, 10_000));
      }
    });

    afterAll(async () => {
      await Promise.all(ends.map((end) => end()));
      await component?.stop();
      await server?.discard();
    });

    async function answers(to: string, payload: () => Element): Promise<Map<string, string>> {
      const texts = new Map<string, string>();
      for (const [way, ask] of ways) {
        const reply = await ask(xml("iq", { type: "get", to }, payload()));
        expect(reply.attrs.type).toBe("result");
        texts.set(
          way,
          reply
            .getChildElements()
            .map((child) => writeXml(child))
            .join(),
        );
      }
      return texts;
    }

    test.each([
      ["its own server", domain],
      ["the component", componentDomain],
    ])("has the same services and credentials from %s over BOSH and WebSocket as over TCP", async (_, to) => {
      const told = await answers(to, () => xml("services", { xmlns: extdisco }));
      expect(told.get("TCP")).toMatch(/password='minted'.*type='turns' username='1:[0-9a-f]{32}'/);
      expect(told.get("BOSH")).toBe(told.get("TCP"));
      expect(told.get("WebSocket")).toBe(told.get("TCP"));
    });

    test("has the same credentials for one service", async () => {
      const service = () => xml("service", { type: "turns", host: "127.0.0.9" });
      const told = await answers(domain, () => xml("credentials", { xmlns: extdisco }, service()));
      expect(new Set(told.values()).size).toBe(1);
    });

    test("has the same proxy for files, and the same word on a stream that nobody waits for", async () => {
      const told = await answers(componentDomain, () => xml("query", { xmlns: bytestreams }));
      expect(told.get("TCP")).toContain("host='127.0.0.9'");
      expect(new Set(told.values()).size).toBe(1);
      const activation = () => xml("query", { xmlns: bytestreams, sid: "1" }, xml("activate", {}, `bob@${domain}/x`));
      for (const ask of ways.values()) {
        const asked = ask(xml("iq", { type: "set", to: componentDomain }, activation()));
        expect(await conditionOf(asked)).toBe("item-not-found");
      }
    });

    test("is refused relay channels alike, where there are none left", async () => {
      const channel = () =>
        xml("channel", { xmlns: "http://jabber.org/protocol/jinglenodes#channel", protocol: "udp" });
      for (const ask of ways.values()) {
        const asked = ask(xml("iq", { type: "get", to: componentDomain }, channel()));
        expect(await conditionOf(asked)).toBe("resource-constraint");
      }
    });

    test("finds out the same about the component", async () => {
      const told = await answers(componentDomain, () => xml("query", { xmlns: discoInfo }));
      expect(told.get("TCP")).toContain(caps);
      expect(new Set(told.values()).size).toBe(1);
    });
  });
});

/** Of an error, whether a client resolves with it or rejects. */
async function conditionOf(asked: Promise<Element>): Promise<string | undefined> {
  return await asked.then(
    (reply) => reply.getChild("error")?.getChildElements()[0]?.name,
    (error) => error.condition,
  );
}
