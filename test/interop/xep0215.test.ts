// A plain XMPP client asks its own server for STUN and TURN, and gets what our component answers.

import { type Client, client } from "@xmpp/client";
import xml, { type Element } from "@xmpp/xml";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type Component, type ComponentFact, startComponent } from "../../src/component/component.ts";
import { needs } from "./needs.ts";
import { componentDomain, componentSecret, domain, otherDomain, password, type XmppServer } from "./xmpp-server.ts";
import { xmppServers } from "./xmpp-servers.ts";

const discoInfo = "http://jabber.org/protocol/disco#info";
const versions = ["urn:xmpp:extdisco:2", "urn:xmpp:extdisco:1"];

describe.each(xmppServers)("XEP-0215 on $name", ({ make, packages }) => {
  describe.runIf(needs(...packages))("with our component", () => {
    let server: XmppServer;
    let component: Component;
    let alice: Client;
    const facts: ComponentFact[] = [];

    beforeAll(async () => {
      server = await make();
      await server.start();
      component = startComponent({
        service: server.components,
        domain: componentDomain,
        secret: componentSecret,
        services: () => [
          { type: "stun", host: "127.0.0.9", port: 3478 },
          { type: "turn", host: "127.0.0.9", port: 3478, transport: "udp" },
          { type: "turn", host: "127.0.0.9", port: 3478, transport: "tcp" },
        ],
        allowPrivate: true,
        userKey: "user key",
        mint: (user, now) => ({ username: `1:${user}`, password: "minted", expires: now + 3_600_000 }),
        version: "test",
        report: (fact) => facts.push(fact),
      });
      await isOnline();
      alice = await login("alice", domain);
    });

    afterAll(async () => {
      await alice?.stop();
      await component?.stop();
      await server?.discard();
    });

    function isOnline(): Promise<void> {
      return vi.waitFor(() => expect(component.state()).toMatchObject({ state: "online" }), { timeout: 20_000 });
    }

    async function login(username: string, domain: string): Promise<Client> {
      const session = client({ service: server.clients, domain, username, password });
      session.on("error", () => {});
      await session.start();
      return session;
    }

    function ask(asker: Client, to: string, payload: Element): Promise<Element> {
      return asker.iqCaller.request(xml("iq", { type: "get", to }, payload), 10_000);
    }

    test.each(versions)("the user's own server answers %s with credentials from us", async (namespace) => {
      const reply = await ask(alice, domain, xml("services", { xmlns: namespace }));
      expect(reply.attrs.from).toBe(domain);
      const services = reply.getChild("services", namespace)?.getChildren("service") ?? [];
      expect(services.map((service) => service.attrs)).toEqual([
        { type: "stun", host: "127.0.0.9", port: "3478" },
        turn("udp"),
        turn("tcp"),
      ]);
    });

    test.each(versions)("the user's own server passes on the credentials query of %s", async (namespace) => {
      const question = xml("service", { type: "turn", host: "127.0.0.9", port: "3478" });
      const reply = await ask(alice, domain, xml("credentials", { xmlns: namespace }, question));
      const answers = reply.getChild("credentials", namespace)?.getChildren("service") ?? [];
      expect(answers.map((answer) => answer.attrs)).toEqual([turn("udp"), turn("tcp")]);
    });

    test.each(versions)("the component answers %s itself, too", async (namespace) => {
      const reply = await ask(alice, componentDomain, xml("services", { xmlns: namespace, type: "turn" }));
      expect(reply.attrs.from).toBe(componentDomain);
      const services = reply.getChild("services", namespace)?.getChildren("service") ?? [];
      expect(services.map((service) => service.attrs)).toEqual([turn("udp"), turn("tcp")]);
    });

    test("the user's own server says that it can do this", async () => {
      const reply = await ask(alice, domain, xml("query", { xmlns: discoInfo }));
      const features = reply.getChild("query", discoInfo)?.getChildren("feature") ?? [];
      expect(features.map((feature) => feature.attrs.var)).toEqual(expect.arrayContaining(versions));
    });

    test("the server has told us what it delegates", () => {
      const told = facts.filter((fact) => fact.fact === "delegated" && fact.domain === domain);
      expect(told.flatMap((fact) => ("namespaces" in fact ? fact.namespaces : []))).toEqual(
        expect.arrayContaining(versions),
      );
    });

    test("an error of ours reaches the client as it is", async () => {
      const unknown = xml("service", { type: "turn", host: "elsewhere.example" });
      const asked = ask(alice, domain, xml("credentials", { xmlns: versions[0] }, unknown));
      await expect(asked).rejects.toMatchObject({ condition: "item-not-found" });
    });

    test("users of other domains get nothing, neither from us nor through the server", async () => {
      const mallory = await login("mallory", otherDomain);
      for (const to of [componentDomain, domain]) {
        const asked = ask(mallory, to, xml("services", { xmlns: versions[0] }));
        await expect(asked).rejects.toMatchObject({ condition: "forbidden" });
      }
      await mallory.stop();
    });

    test("each user has credentials of their own, the same on every device", async () => {
      const others = [await login("alice", domain), await login("bob", domain)];
      const [phone, bob] = await Promise.all(others.map((other) => usernameFor(other)));
      expect(await usernameFor(alice)).toBe(phone);
      expect(bob).not.toBe(phone);
      for (const other of others) await other.stop();
    });

    test("no JID of a user stands in a fact", () => {
      expect(facts.length).toBeGreaterThan(0);
      expect(JSON.stringify(facts)).not.toMatch(/alice|bob|mallory/);
    });

    test("after a restart of the server the component is there again by itself", async () => {
      await alice.stop();
      await server.stop();
      await vi.waitFor(() => expect(component.state().state).not.toBe("online"));
      await server.start();
      await isOnline();
      alice = await login("alice", domain);
      expect(await usernameFor(alice)).toMatch(/^1:/);
    });

    test("a wrong secret is told, and retried slowly", async () => {
      const stranger = startComponent({
        service: server.components,
        domain: componentDomain,
        secret: "wrong",
        services: () => [],
        userKey: "user key",
        mint: () => ({ username: "", password: "", expires: 0 }),
        version: "test",
        report: () => {},
      });
      await vi.waitFor(() => expect(stranger.state()).toMatchObject({ state: "refused" }));
      expect(stranger.state().reason).toContain("not-authorized");
      await stranger.stop();
    });

    async function usernameFor(asker: Client): Promise<string> {
      const reply = await ask(asker, domain, xml("services", { xmlns: versions[0] }));
      const turn = reply.getChild("services")?.getChildrenByAttr("type", "turn") ?? [];
      return turn[0]?.attrs.username;
    }

    function turn(transport: string) {
      const place = { type: "turn", host: "127.0.0.9", port: "3478", transport, restricted: "1" };
      const expires = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
      return { ...place, username: expect.stringMatching(/^1:[0-9a-f]{32}$/), password: "minted", expires };
    }
  });
});
