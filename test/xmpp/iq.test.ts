import xml, { type Element } from "@xmpp/xml";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ask, entity, now } from "./iq-table.ts";

const services = "urn:xmpp:extdisco:2";

function request(payload: Element): Element {
  return xml("iq", { type: "get", id: "q1", from: "alice@example.org/phone", to: "relay.example.org" }, payload);
}

describe("a request", () => {
  test("whose handler throws is answered with internal-server-error, and the error is reported", () => {
    const error = new Error("no secret");
    const mint = () => {
      throw error;
    };
    const { reply, facts } = ask(request(xml("services", { xmlns: services })), { mint });
    expect(reply?.getChild("error")?.getChild("internal-server-error")).toBeDefined();
    expect(facts).toContainEqual({ fact: "iq-handler-failed", what: `${services} services`, error });
  });

  test("that was answered is a fact with the row that answered, or `unknown`", () => {
    expect(ask(request(xml("ping", { xmlns: "urn:xmpp:ping" }))).facts).toEqual([
      { fact: "iq-answered", what: "urn:xmpp:ping ping" },
    ]);
    expect(ask(request(xml("anything", { xmlns: "urn:example:any" }))).facts).toEqual([
      { fact: "iq-answered", what: "unknown", condition: "service-unavailable" },
    ]);
  });

  test("for services mints one credential, however many there are, for the hash of the bare JID", () => {
    const minted: string[] = [];
    const mint = (user: string, now: number) => {
      minted.push(user);
      return { username: `0:${user}`, password: "minted", expires: now };
    };
    const { reply, facts } = ask(request(xml("services", { xmlns: services })), { mint });
    const [user] = minted;
    expect(minted).toEqual([expect.stringMatching(/^[0-9a-f]{32}$/)]);
    expect(reply?.getChild("services")?.getChildrenByAttr("username", `0:${user}`)).toHaveLength(4);
    expect(facts).toContainEqual({ fact: "credentials-issued", user, until: expect.any(Number) });
    expect(JSON.stringify([facts, minted])).not.toContain("alice");
  });

  test("for services without credentials mints none", () => {
    const { facts } = ask(request(xml("services", { xmlns: services, type: "stun" })));
    expect(facts.map(({ fact }) => fact)).toEqual(["iq-answered"]);
  });

  test("gets another user hash under another key", () => {
    const username = (userKey: string) => {
      const { reply } = ask(request(xml("services", { xmlns: services })), { userKey });
      return reply?.getChild("services")?.getChildByAttr("type", "turn")?.attrs.username;
    };
    expect(username("one")).not.toBe(username("two"));
  });

  test("of any shape is answered once, to whom it came from, or not at all if it is a reply", () => {
    const word = fc.constantFrom(
      "iq",
      "query",
      "services",
      "credentials",
      "service",
      "delegation",
      "forwarded",
      "ping",
      "x:services",
      "文件",
    );
    const value = fc.constantFrom(
      "get",
      "set",
      "result",
      "",
      "example.org",
      "alice@example.org",
      "@",
      "turn",
      "99999999",
      services,
      "urn:xmpp:delegation:2",
      "urn:xmpp:forward:0",
      "jabber:client",
      "http://jabber.org/protocol/disco#info",
    );
    const attributes = fc.dictionary(
      fc.constantFrom("type", "id", "from", "to", "xmlns", "xmlns:x", "host", "port", "node", "__proto__", "toString"),
      fc.oneof(value, fc.string()),
    );
    const { tree } = fc.letrec<{ tree: Element }>((tie) => ({
      tree: fc
        .tuple(word, attributes, fc.array(fc.oneof({ maxDepth: 6 }, fc.string(), tie("tree")), { maxLength: 3 }))
        .map(([name, attributes, children]) => xml(name, { ...attributes }, ...children)),
    }));

    const { entity: us } = entity({ rate: { perSecond: 1e9, burst: 1e9 } });
    fc.assert(
      fc.property(tree, attributes, ({ children }, envelope) => {
        const iq = xml("iq", { to: "relay.example.org", ...envelope }, ...children);
        const [reply] = us.handle(now, { is: "stanza", stanza: iq });
        if (["result", "error"].includes(iq.attrs.type)) expect(reply).toBeUndefined();
        if (!reply) return;
        expect(reply.attrs).toMatchObject({ type: expect.stringMatching(/^(result|error)$/), to: iq.attrs.from });
        expect(reply.attrs.id).toBe(iq.attrs.id);
        expect(reply.getChildren("error")).toHaveLength(reply.attrs.type === "error" ? 1 : 0);
      }),
      { numRuns: 2000 },
    );
  });
});
