// Pushes to who asked through his server (XEP-0355), in the name of his account (XEP-0356).

import type { Element } from "@xmpp/xml";
import { describe, expect, test } from "vitest";
import { now } from "./iq-table.ts";
import { minute, phone, renewal, Talk, us } from "./talk.ts";

describe("who asked through his server", () => {
  const account = "alice@example.org";

  function asks(talk: Talk, to = ""): void {
    const [reply] = talk.says(`<iq type='set' id='o' from='example.org' to='${us}'>
      <delegation xmlns='urn:xmpp:delegation:2'><forwarded xmlns='urn:xmpp:forward:0'>
        <iq xmlns='jabber:client' type='get' id='i' from='${phone}' ${to}><services xmlns='urn:xmpp:extdisco:2'/></iq>
      </forwarded></delegation></iq>`);
    expect(reply?.attrs.type).toBe("result");
  }

  const set = "ns='urn:xmpp:extdisco:2' type='set'";

  function permit(talk: Talk, from = "example.org", permission = set, access = "iq"): void {
    const privilege = `<privilege xmlns='urn:xmpp:privilege:2'><perm access='roster' type='get'/>
      <perm access='${access}'><namespace ns='jabber:iq:roster' type='both'/><namespace ${permission}/></perm></privilege>`;
    talk.says(`<message from='${from}' to='${us}'>${privilege}</message>`);
  }

  test("is pushed to as well where the server puts namespaces into each other", () => {
    const talk = new Talk();
    const nested = `<namespace ns='urn:xmpp:extdisco:1' type='set'><namespace ${set}/></namespace>`;
    talk.says(`<message from='example.org' to='${us}'>
      <privilege xmlns='urn:xmpp:privilege:2'><perm access='iq'>${nested}</perm></privilege></message>`);
    asks(talk);
    expect(talk.ticks(now + 50 * minute)).toHaveLength(1);
  });

  function permitted(): Talk {
    const talk = new Talk();
    permit(talk);
    asks(talk);
    return talk;
  }

  const answer = (push: Element | undefined, inner: "result" | "error") =>
    `<iq type='result' id='${push?.attrs.id}' from='${account}' to='${us}'>
       <privilege xmlns='urn:xmpp:privilege:2'><forwarded xmlns='urn:xmpp:forward:0'>
         <iq xmlns='jabber:client' type='${inner}' id='x' from='${phone}' to='${account}'/>
       </forwarded></privilege></iq>`;

  test.each(["", "to='example.org'", `to='${account}'`])(
    "%s is pushed to by his account, where his server lets us",
    (to) => {
      const talk = new Talk();
      permit(talk);
      asks(talk, to);
      const [push, ...more] = talk.ticks(renewal);
      expect(more).toEqual([]);
      expect(push?.attrs).toEqual({ type: "set", id: expect.any(String), from: us, to: account });
      const inner = push?.getChild("privileged_iq", "urn:xmpp:privilege:2")?.getChild("iq", "jabber:client");
      expect(inner?.attrs).toMatchObject({ type: "set", to: phone, id: expect.any(String) });
      const services = inner?.getChild("services", "urn:xmpp:extdisco:2")?.getChildren("service") ?? [];
      expect(services.map(({ attrs }) => attrs.action)).toEqual(Array(4).fill("modify"));
      talk.says(answer(push, "result"));
      expect(talk.ticks(renewal + 51 * minute)).toHaveLength(1);
    },
  );

  test("is pushed to in the way that he asked last", () => {
    const talk = new Talk();
    permit(talk);
    talk.asks();
    asks(talk);
    expect(talk.ticks(renewal).map(({ attrs }) => attrs.to)).toEqual([account]);
    talk.isThere();
    talk.asks();
    expect(talk.ticks(renewal + 51 * minute).map(({ attrs }) => attrs.to)).toEqual([phone]);
  });

  test("is forgotten when the device bounces, when the server will not, and when he goes", () => {
    const endings: ((talk: Talk, push: Element | undefined) => void)[] = [
      (talk, push) => talk.says(answer(push, "error")),
      (talk, push) => talk.says(`<iq type='error' id='${push?.attrs.id}' from='${account}' to='${us}'/>`),
      (talk) => talk.says(`<presence type='unavailable' from='${phone}' to='${us}'/>`),
    ];
    for (const end of endings) {
      const talk = permitted();
      end(talk, talk.ticks(renewal)[0]);
      expect(talk.ticks(renewal + 51 * minute)).toEqual([]);
    }
  });

  test("is not pushed to where his server does not let us, or somebody else says so", () => {
    const servers: ((talk: Talk) => void)[] = [
      () => {},
      (talk) => permit(talk, "elsewhere.example"),
      (talk) => permit(talk, "other.example.org"),
      (talk) => permit(talk, account),
      (talk) => permit(talk, "example.org", "ns='urn:xmpp:extdisco:2' type='get'"),
      (talk) => permit(talk, "example.org", "ns='urn:xmpp:extdisco:1' type='set'"),
      (talk) => permit(talk, "example.org", set, "message"),
    ];
    for (const serve of servers) {
      const talk = new Talk();
      serve(talk);
      asks(talk);
      expect(talk.ticks(renewal)).toEqual([]);
    }
  });
});
