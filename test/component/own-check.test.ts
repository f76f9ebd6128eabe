import xml, { type Element } from "@xmpp/xml";
import { describe, expect, test } from "vitest";
import type { Health } from "../../src/component/connection.ts";
import { OwnCheck, type OwnCheckOptions } from "../../src/component/own-check.ts";
import { ServerNotices } from "../../src/component/server-look.ts";

const service = "urn:xmpp:extdisco:2";

/** A stream to a server that does as it should, except that whatever it is asked takes its time. */
function world(state: Health["state"] = "online") {
  const notices = new ServerNotices(["example.org"]);
  for (const from of ["example.org", "elsewhere.example", "alice@example.org"]) {
    const delegated = xml("delegated", { namespace: service });
    notices.hear(xml("message", { from }, xml("delegation", { xmlns: "urn:xmpp:delegation:2" }, delegated)));
  }
  let asked = 0;
  const clock = { now: 0 };
  const line = {
    state: () => ({ state, reason: "no such luck" }),
    async request(from: string) {
      asked += 1;
      return xml("iq", { type: "result", from }, xml("query", {}, xml("feature", { var: service })));
    },
    async send(iq: Element) {
      const { from: to, to: from, id } = iq.attrs;
      const inner = xml("iq", { xmlns: "jabber:client", from: to, to: from, id });
      const forwarded = xml("forwarded", { xmlns: "urn:xmpp:forward:0" }, inner);
      const delegation = xml("delegation", { xmlns: "urn:xmpp:delegation:2" }, forwarded);
      expect(check.hear(xml("iq", { type: "set", from, to: "relay.example.org" }, delegation))).toBe(false);
      const error = xml("error", { type: "auth" }, xml("forbidden"));
      expect(check.hear(xml("iq", { type: "error", from, to, id }, error))).toBe(true);
    },
  } as unknown as OwnCheckOptions["line"];
  const options = { domain: "relay.example.org", line, notices, hosts: ["example.org"], now: () => clock.now };
  const check = new OwnCheck(options);
  return { check, clock, notices, asked: () => asked };
}

describe("a component's own check", () => {
  test("says what the server does, and what more it could do", async () => {
    const { check, notices } = world();
    expect((await check.findings()).map((finding) => Object.keys(finding)[0])).toEqual([
      ...["well", "well", "well", "well"],
      "lacking",
    ]);
    expect(check.hear(xml("message", { to: "setup-check@relay.example.org/check", id: "1" }))).toBe(false);
    expect([...notices.delegating]).toEqual(["example.org"]);
    notices.clear();
    expect(notices.delegating.size).toBe(0);
  });

  test("asks the server once, however many ask for it, and again after a while", async () => {
    const { check, clock, asked } = world();
    await Promise.all([check.findings(), check.findings(), check.findings()]);
    clock.now += 9000;
    await check.findings();
    expect(asked()).toBe(1);
    clock.now += 2000;
    await check.findings();
    expect(asked()).toBe(2);
  });

  test("asks nobody where there is no stream", async () => {
    const { check, asked } = world("offline");
    expect(await check.findings()).toEqual([{ wrong: "the relay's component is offline", advice: "no such luck" }]);
    expect(asked()).toBe(0);
  });
});
