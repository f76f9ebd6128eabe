// What clients need of the XEP-0215 answer, as their code was read: each asks with its own query, and keeps what it keeps.

import type { Element } from "@xmpp/xml";
import { describe, expect, test } from "vitest";
import type { EntityOptions } from "../../src/xmpp/entity.ts";
import { ask, now } from "./iq-table.ts";
import { readXml } from "./read-xml.ts";

type Attributes = Readonly<Record<string, string>>;

const services: ReturnType<EntityOptions["services"]> = [
  { type: "stun", host: "192.0.2.1", port: 3478 },
  { type: "turn", host: "192.0.2.1", port: 3478, transport: "udp" },
  { type: "turn", host: "192.0.2.1", port: 3478, transport: "tcp" },
  { type: "turns", host: "relay.example.org", port: 443, transport: "tcp" },
  { type: "turns", host: "relay.example.org", port: 5349, transport: "udp" },
  { type: "stun", host: "2001:db8::5", port: 3478 },
  { type: "turn", host: "2001:db8::5", port: 3478, transport: "udp" },
];

/** What the client's server passes on to us, and hands back. */
function answer(payload: string): Element {
  const { reply } = ask(
    readXml(`<iq type='set' id='o' from='example.org' to='relay.example.org'>
      <delegation xmlns='urn:xmpp:delegation:2'><forwarded xmlns='urn:xmpp:forward:0'>
        <iq xmlns='jabber:client' type='get' id='i' from='alice@example.org/x' to='example.org'>${payload}</iq>
      </forwarded></delegation></iq>`),
    { services: () => services },
  );
  const inner = reply?.getChild("delegation")?.getChild("forwarded")?.getChild("iq");
  expect(inner?.attrs).toMatchObject({ type: "result", id: "i", from: "example.org", to: "alice@example.org/x" });
  return inner?.getChildElements()[0] ?? expect.fail("the answer is empty");
}

function servicesIn(payload: string): Attributes[] {
  return answer(payload)
    .getChildren("service")
    .map(({ attrs }) => attrs);
}

function urlOf({ type, host, port, transport }: Attributes): string {
  const place = `${type}:${host?.includes(":") ? `[${host}]` : host}:${port}`;
  return type?.startsWith("stun") ? place : `${place}?transport=${transport}`;
}

const all = "<services xmlns='urn:xmpp:extdisco:2'/>";
const isWhole = ({ username, password, port, transport }: Attributes) =>
  Boolean(username && password && port && transport);

describe("of the answer", () => {
  test("Conversations keeps every relay but TURN over DTLS: each has port, transport, name and password", () => {
    const kept = servicesIn(all)
      .filter(({ type, transport }) => /^turns?$/.test(type ?? "") && !(type === "turns" && transport === "udp"))
      .filter(isWhole);
    expect(kept.map(urlOf)).toEqual([
      "turn:192.0.2.1:3478?transport=udp",
      "turn:192.0.2.1:3478?transport=tcp",
      "turns:relay.example.org:443?transport=tcp",
      "turn:[2001:db8::5]:3478?transport=udp",
    ]);
  });

  test("Dino keeps IPv4 over UDP, and asks again at half of the time that it reads in `expires`", () => {
    const kept = servicesIn(all).filter(({ host, type, transport }) => {
      return /^\d+(\.\d+){3}$/.test(host ?? "") && (type === "stun" || (type === "turn" && transport === "udp"));
    });
    expect(kept.map(urlOf)).toEqual(["stun:192.0.2.1:3478", "turn:192.0.2.1:3478?transport=udp"]);
    const { expires } = kept[1] ?? {};
    expect(expires).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    expect(Date.parse(expires ?? "")).toBe(now + 3_600_000);
  });

  test("Monal asks for credentials of each relay by itself, and waits for all the answers", () => {
    const known = servicesIn(all).filter(({ type }) => type === "stun" || type === "turn");
    const relays = known.filter(({ type }) => type === "turn");
    expect(relays).toHaveLength(3);
    for (const { type, host, port } of relays) {
      const told = servicesIn(
        `<credentials xmlns='urn:xmpp:extdisco:2'><service type='${type}' host='${host}' port='${port}'/></credentials>`,
      );
      expect(told.length).toBeGreaterThan(0);
      expect(told.every((service) => service.host === host && isWhole(service))).toBe(true);
    }
  });

  test("Movim takes the first STUN and the first TURN server and leaves the transport away: that is UDP", () => {
    const told = servicesIn(all);
    expect(told.find(({ type }) => type === "stun")?.host).toBe("192.0.2.1");
    expect(told.find(({ type }) => type === "turn")).toMatchObject({ transport: "udp", username: expect.any(String) });
    // Chromium refuses the whole list for this type.
    expect(told.filter(({ type }) => type === "stuns")).toEqual([]);
  });

  test("Siskin passes on whatever has a host: none is an address of nobody", () => {
    const told = servicesIn(all);
    expect(told.every(({ host }) => host && host !== "0.0.0.0" && host !== "::")).toBe(true);
    expect(told.filter(({ type }) => type?.startsWith("turn")).every(isWhole)).toBe(true);
  });

  test("pages such as Converse.js make what browsers take: STUN without a query, relays with name and password", () => {
    const urls = servicesIn(all).map((service) => ({ url: urlOf(service), isWhole: isWhole(service) }));
    for (const { url, isWhole } of urls) {
      expect(url).toMatch(/^(stun:[^?]+|turns?:[^?]+\?transport=(udp|tcp))$/);
      expect(isWhole).toBe(url.startsWith("turn"));
    }
    expect(servicesIn(all).filter(({ type, transport }) => type === "stun" && transport)).toEqual([]);
  });

  test("stanza reads numbers, dates and booleans, and asks for one service's credentials by host, type and port", () => {
    const [service = {}] = servicesIn("<services xmlns='urn:xmpp:extdisco:2' type='turns'/>");
    expect(service).toMatchObject({ restricted: "1", port: "443" });
    expect(Number.isNaN(Date.parse(service.expires ?? ""))).toBe(false);
    const [credential] = servicesIn(
      "<credentials xmlns='urn:xmpp:extdisco:2'><service host='relay.example.org' type='turns' port='443'/></credentials>",
    );
    expect(credential).toMatchObject({ username: service.username, password: service.password });
  });

  test("Jitsi falls back to version 1, and gets the same", () => {
    expect(answer("<services xmlns='urn:xmpp:extdisco:1'/>").getNS()).toBe("urn:xmpp:extdisco:1");
    expect(servicesIn("<services xmlns='urn:xmpp:extdisco:1'/>")).toEqual(servicesIn(all));
  });
});
