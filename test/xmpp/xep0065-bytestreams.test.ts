import { createHash } from "node:crypto";
import xml, { type Element } from "@xmpp/xml";
import { describe, expect, test } from "vitest";
import { type ActivationFailure, bytestreams } from "../../src/xmpp/xep0065-bytestreams.ts";
import { ask } from "./iq-table.ts";

const namespace = "http://jabber.org/protocol/bytestreams";
const [alice, bob] = ["alice@example.org/phone", "bob@example.org/desk"];

const hosts = [
  { host: "192.0.2.5", port: 7777 },
  { host: "2001:db8::5", port: 7777 },
];

function proxied(stanza: Element, failure?: ActivationFailure, where = hosts) {
  const activated: (readonly [hash: string, user: string])[] = [];
  const extension = bytestreams({
    jid: "relay.example.org",
    hosts: () => where,
    isServed: ({ domain }) => domain === "example.org",
    userOf: ({ local }) => `hash of ${local}`,
    activate: (_, hash, user) => {
      activated.push([hash, user]);
      return failure;
    },
  });
  return { ...ask(stanza, { extensions: [extension] }), activated };
}

function iq(type: "get" | "set", query: Element, from = alice): Element {
  return xml("iq", { type, id: "1", from, to: "relay.example.org" }, query);
}

function activation(attributes: Record<string, string>, target: string | undefined = bob, from = alice): Element {
  const children = target === undefined ? [] : [xml("activate", {}, target)];
  return iq("set", xml("query", { xmlns: namespace, ...attributes }, ...children), from);
}

function conditionOf(reply: Element | undefined): string | undefined {
  return reply?.getChild("error")?.getChildElements()[0]?.getName();
}

describe("bytestreams", () => {
  test("are found by service discovery", () => {
    const { reply } = proxied(iq("get", xml("query", { xmlns: "http://jabber.org/protocol/disco#info" })));
    const query = reply?.getChild("query");
    expect(query?.getChildByAttr("category", "proxy")?.attrs.type).toBe("bytestreams");
    expect(query?.getChildByAttr("var", namespace)).toBeDefined();
  });

  test("are where the proxy is, at each of its addresses", () => {
    const { reply } = proxied(iq("get", xml("query", { xmlns: namespace })));
    expect(
      reply
        ?.getChild("query", namespace)
        ?.getChildren("streamhost")
        .map(({ attrs }) => attrs),
    ).toEqual([
      { jid: "relay.example.org", host: "192.0.2.5", port: "7777" },
      { jid: "relay.example.org", host: "2001:db8::5", port: "7777" },
    ]);
  });

  test("are for our users", () => {
    const stranger = "mallory@elsewhere.org/x";
    expect(conditionOf(proxied(iq("get", xml("query", { xmlns: namespace }), stranger)).reply)).toBe("forbidden");
    const { reply, activated } = proxied(activation({ sid: "s" }, bob, stranger));
    expect([conditionOf(reply), activated]).toEqual(["forbidden", []]);
  });

  test("are nowhere when the proxy is", () => {
    expect(conditionOf(proxied(iq("get", xml("query", { xmlns: namespace })), undefined, []).reply)).toBe(
      "not-allowed",
    );
  });

  test("are activated by the hash of sid, whoever asks, and target", () => {
    const { reply, activated } = proxied(activation({ sid: "vxf9n471bn46" }));
    expect(reply?.attrs).toMatchObject({ type: "result", id: "1", to: alice });
    expect(reply?.getChildElements()).toEqual([]);
    const hash = createHash("sha1").update(`vxf9n471bn46${alice}${bob}`).digest("hex");
    expect(activated).toEqual([[hash, "hash of alice"]]);
  });

  test.each([
    ["nobody-waits", "item-not-found"],
    ["one-waits", "not-allowed"],
    ["too-many", "resource-constraint"],
    ["too-much", "resource-constraint"],
  ] as const)("are not activated when %s, which is %s", (failure, condition) => {
    expect(conditionOf(proxied(activation({ sid: "s" }), failure).reply)).toBe(condition);
  });

  test.each([
    ["a sid", activation({})],
    ["an empty sid", activation({ sid: "" })],
    ["a target", iq("set", xml("query", { xmlns: namespace, sid: "s" }))],
    ["an empty target", activation({ sid: "s" }, "")],
    ["a target that is an address", activation({ sid: "s" }, "@/")],
  ])("are not activated without %s", (_, stanza) => {
    const { reply, activated } = proxied(stanza);
    expect([conditionOf(reply), activated]).toEqual(["bad-request", []]);
  });
});
