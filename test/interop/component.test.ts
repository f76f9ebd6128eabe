// The component as its users meet it through a real server: many of them, what they say wrong, presence and pushes, and
// what becomes of it when there are two.

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Element } from "@xmpp/xml";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import {
  type Component,
  type ComponentFact,
  type ComponentOptions,
  startComponent,
} from "../../src/component/component.ts";
import { needs } from "./needs.ts";
import { RawClient } from "./raw-client.ts";
import { componentDomain, componentSecret, domain, password, type XmppServer } from "./xmpp-server.ts";
import { xmppServers } from "./xmpp-servers.ts";

const ask = "<services xmlns='urn:xmpp:extdisco:2'/>";
const lifetimeMillis = 2000;

setFlagsFromString("--expose-gc");
const collectGarbage: () => void = runInNewContext("gc");

describe.each(xmppServers)("the component on $name", ({ name, make, packages }) => {
  describe.runIf(needs(...packages))("with clients", () => {
    let server: XmppServer;
    let component: Component;
    let alice: RawClient;
    let facts: ComponentFact[] = [];

    beforeAll(async () => {
      server = await make();
      await server.start();
      component = await started({ report: (fact) => facts.push(fact) });
      alice = await login("alice", "phone");
    });

    afterAll(async () => {
      await alice?.drop();
      await component?.stop();
      await server?.discard();
    });

    async function started(changes: Partial<ComponentOptions> = {}): Promise<Component> {
      const started = startComponent({
        service: server.components,
        domain: componentDomain,
        secret: componentSecret,
        services: () => [
          { type: "stun", host: "127.0.0.9", port: 3478 },
          { type: "turn", host: "127.0.0.9", port: 3478, transport: "udp" },
        ],
        allowPrivate: true,
        userKey: "user key",
        mint: (user, now) => ({ username: `1:${user}`, password: "minted", expires: now + lifetimeMillis }),
        version: "test",
        report: () => {},
        ...changes,
      });
      await vi.waitFor(() => expect(started.state().state).not.toBe("connecting"), { timeout: 20_000 });
      return started;
    }

    function login(username: string, resource: string): Promise<RawClient> {
      return RawClient.login({ service: server.clients, domain, username, password, resource });
    }

    function isPush(stanza: Element): boolean {
      return stanza.is("iq") && stanza.attrs.type === "set" && stanza.attrs.from === componentDomain;
    }

    async function nextPush(client: RawClient): Promise<Element> {
      const push = await client.receives(isPush);
      client.send(`<iq type='result' id='${push.attrs.id}' to='${componentDomain}'/>`);
      return push;
    }

    test("answers a thousand clients at once, time and again, and keeps nothing of them", async () => {
      const accounts = Array.from({ length: 40 }, (_, number) => `user${number}`);
      for (const account of accounts) await server.addUser(account);
      const clients: RawClient[] = [];
      onTestFinished(async () => void (await Promise.all(clients.map((client) => client.drop()))));
      // No more than this wait for ejabberd to accept them at a time.
      const lanes = [0, 1, 2, 3].map(async (lane) => {
        for (let device = lane; device < 1000; device += 4)
          clients.push(await login(`user${device % 40}`, `device${device}`));
      });
      await Promise.all(lanes);
      const heapAfter = async (round: number) => {
        const to = round % 2 === 0 ? componentDomain : domain;
        const replies = await Promise.all(clients.map((client) => client.asks(to, ask, `round${round}`)));
        expect(replies.filter(({ attrs }) => attrs.type === "result")).toHaveLength(1000);
        expect(new Set(replies.map(usernameIn)).size).toBe(40);
        facts = [];
        collectGarbage();
        return process.memoryUsage().heapUsed;
      };
      const heaps: number[] = [];
      for (let round = 0; round < 4; round += 1) heaps.push(await heapAfter(round));
      const [, early = 0, , late = 0] = heaps;
      expect(late - early).toBeLessThan(2 * 1024 * 1024);
    }, 120_000);

    function usernameIn(reply: Element): string {
      return reply.getChild("services")?.getChildByAttr("type", "turn")?.attrs.username;
    }

    test("is there for who subscribes, with capabilities that lead to what it is", async () => {
      const subscribed = alice.receives((stanza) => stanza.is("presence") && stanza.attrs.type === "subscribed");
      const available = alice.receives((stanza) => stanza.is("presence") && stanza.getChild("c") !== undefined);
      // Only who has seen his roster is told what becomes of it.
      await alice.asks(`alice@${domain}`, "<query xmlns='jabber:iq:roster'/>");
      alice.send(`<presence/><presence type='subscribe' to='${componentDomain}'/>`);
      expect((await subscribed).attrs.from).toBe(componentDomain);
      const { node, ver } = (await available).getChild("c")?.attrs ?? {};
      const query = `<query xmlns='http://jabber.org/protocol/disco#info' node='${node}#${ver}'/>`;
      expect((await alice.asks(componentDomain, query)).attrs.type).toBe("result");
    });

    test("is seen again by who subscribed and comes anew: the probe of his server is answered", async () => {
      const desk = await login("alice", "desk");
      onTestFinished(() => desk.drop());
      const available = desk.receives(({ name, attrs }) => name === "presence" && attrs.from === componentDomain);
      desk.send("<presence/>");
      expect((await available).getChild("c", "http://jabber.org/protocol/caps")).toBeDefined();
    });

    test.each<[string, string, string]>([
      [
        "a stanza of 512 KiB",
        `<iq type='get' id='bad' to='@'><x xmlns='a:b'>${"x".repeat(512 * 1024)}</x></iq>`,
        "policy-violation",
      ],
      [
        "deep nesting",
        `<iq type='get' id='bad' to='@'>${"<x xmlns='a:b'>".repeat(80)}${"</x>".repeat(80)}</iq>`,
        "policy-violation",
      ],
      ["a foreign namespace", "<iq type='get' id='bad' to='@'><services xmlns='a:b'/></iq>", "service-unavailable"],
      [
        "a name that there is not",
        "<iq type='get' id='bad' to='@'><x xmlns='urn:xmpp:extdisco:2'/></iq>",
        "feature-not-implemented",
      ],
      [
        "missing attributes",
        "<iq type='get' id='bad' to='@'><credentials xmlns='urn:xmpp:extdisco:2'><service/></credentials></iq>",
        "bad-request",
      ],
      [
        "an unknown account",
        "<iq type='get' id='bad' to='bob@@'><ping xmlns='urn:xmpp:ping'/></iq>",
        "service-unavailable",
      ],
    ])("answers %s with the right error, and loses nothing that follows", async (_, stanza, condition) => {
      const refused = alice.replyTo("bad");
      const after = alice.replyTo("after");
      alice.send(`${stanza.replace("@'", `${componentDomain}'`)}`);
      alice.send(`<iq type='get' id='after' to='${componentDomain}'>${ask}</iq>`);
      expect((await refused).getChild("error")?.getChild(condition)).toBeDefined();
      expect((await after).attrs.type).toBe("result");
      expect(component.state().state).toBe("online");
    });

    test("tells people that nobody reads their messages", async () => {
      const bounced = alice.receives((stanza) => stanza.is("message") && stanza.attrs.type === "error");
      alice.send(`<message type='chat' to='${componentDomain}'><body>hello</body></message>`);
      expect((await bounced).getChild("error")?.getChild("service-unavailable")).toBeDefined();
    });

    test("makes an account wait that asks without end, and nobody else", async () => {
      const bob = await login("bob", "phone");
      onTestFinished(() => bob.drop());
      const ids = Array.from({ length: 400 }, (_, number) => `q${number}`);
      const replies = await Promise.all(ids.map((id) => bob.asks(componentDomain, ask, id)));
      const waits = replies.filter((reply) => reply.getChild("error")?.attrs.type === "wait");
      expect(waits.length).toBeGreaterThan(50);
      expect(waits.length).toBeLessThan(201);
      expect((await alice.asks(componentDomain, ask)).attrs.type).toBe("result");
    });

    test("pushes new credentials in time to who is there, and forgets who is gone", async () => {
      // Alice is there already, and others who were may not be forgotten yet.
      await server.addUser("carol");
      const [bob, carol] = [await login("bob", "push"), await login("carol", "push")];
      onTestFinished(async () => void (await Promise.all([bob.drop(), carol.drop()])));
      const users: string[] = [];
      for (const client of [bob, carol]) {
        client.send(`<presence to='${componentDomain}'/>`);
        const reply = await client.asks(componentDomain, "<services xmlns='urn:xmpp:extdisco:2' type='turn'/>");
        expect(reply.attrs.type).toBe("result");
        users.push(usernameIn(reply).replace("1:", ""));
      }
      const [first] = await Promise.all([nextPush(bob), nextPush(carol)]);
      const [service] = first.getChild("services", "urn:xmpp:extdisco:2")?.getChildren("service") ?? [];
      expect(service?.attrs).toMatchObject({ action: "modify", type: "turn", password: "minted" });

      await carol.drop();
      await nextPush(bob);
      facts = [];
      await nextPush(bob);
      const told = users.map((user) => facts.some((fact) => fact.fact === "credentials-issued" && fact.user === user));
      expect(told).toEqual([true, false]);
    }, 40_000);

    test("issues nothing any more to an account that is removed while its devices are there", async () => {
      await server.addUser("dora");
      const [phone, desk] = [await login("dora", "phone"), await login("dora", "desk")];
      onTestFinished(async () => void (await Promise.all([phone.drop(), desk.drop()])));
      phone.send(`<presence to='${componentDomain}'/>`);
      const user = usernameIn(await phone.asks(componentDomain, ask)).replace("1:", "");
      await nextPush(phone);
      desk.send(`<iq type='set' id='r'><query xmlns='jabber:iq:register'><remove/></query></iq>`);
      await phone.closed;
      facts = [];
      // Somebody else who is there is pushed to meanwhile.
      const bob = await login("bob", "witness");
      onTestFinished(() => bob.drop());
      bob.send(`<presence to='${componentDomain}'/>`);
      await bob.asks(componentDomain, ask);
      for (const _ of ["once", "again"]) await nextPush(bob);
      expect(facts.filter((fact) => fact.fact === "credentials-issued" && fact.user === user)).toEqual([]);
    }, 40_000);

    // Debian 12's ejabberd grants nothing of the kind.
    if (name === "Prosody") {
      test("pushes in the name of their account to who asked their server", async () => {
        const desk = await login("alice", "delegated");
        onTestFinished(() => desk.drop());
        expect((await desk.asks(domain, ask)).attrs.type).toBe("result");
        const isFromAccount = ({ attrs }: Element) => attrs.type === "set" && attrs.from === `alice@${domain}`;
        for (const _ of ["once", "again"]) {
          const push = await desk.receives(isFromAccount);
          const [service] = push.getChild("services", "urn:xmpp:extdisco:2")?.getChildren("service") ?? [];
          expect(service?.attrs).toMatchObject({ action: "modify", type: "turn", password: "minted" });
          desk.send(`<iq type='result' id='${push.attrs.id}' to='alice@${domain}'/>`);
        }
      }, 40_000);
    }

    test(
      name === "Prosody" ? "is told of a name that another has" : "shares its name, and the answers are the same",
      async () => {
        const told: ComponentFact[] = [];
        const second = await started({ report: (fact) => told.push(fact) });
        onTestFinished(() => second.stop());
        if (name === "Prosody") {
          expect(second.state()).toMatchObject({ state: "refused", reason: expect.stringContaining("conflict") });
          expect(told).toContainEqual(
            expect.objectContaining({
              fact: "component-refused",
              advice: expect.stringContaining("another component"),
            }),
          );
          expect((await alice.asks(componentDomain, ask)).attrs.type).toBe("result");
          return;
        }
        expect(second.state().state).toBe("online");
        facts = [];
        const replies = [];
        for (let asked = 0; asked < 40; asked += 1) replies.push(await alice.asks(componentDomain, ask));
        expect(new Set(replies.map(usernameIn)).size).toBe(1);
        const answered = (facts: readonly ComponentFact[]) =>
          facts.filter((fact) => fact.fact === "iq-answered" && fact.what.endsWith(" services")).length;
        expect(answered(facts)).toBeGreaterThan(0);
        expect(answered(told)).toBeGreaterThan(0);
        expect(answered(facts) + answered(told)).toBe(40);
      },
    );

    test("answers again after a restart of the server, without anybody's help", async () => {
      await server.stop();
      await vi.waitFor(() => expect(component.state().state).not.toBe("online"), { timeout: 20_000 });
      await server.start();
      await vi.waitFor(() => expect(component.state().state).toBe("online"), { timeout: 40_000 });
      alice = await login("alice", "phone");
      expect((await alice.asks(domain, ask)).attrs.type).toBe("result");
    }, 90_000);
  });
});
