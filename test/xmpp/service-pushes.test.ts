// Who is sent new services and credentials, when, and until when (XEP-0215 section 3.2).

import type { Element } from "@xmpp/xml";
import { describe, expect, test } from "vitest";
import type { EntityOptions } from "../../src/xmpp/entity.ts";
import { type ExternalService, userHash } from "../../src/xmpp/xep0215-external-services.ts";
import { now } from "./iq-table.ts";
import { readXml } from "./read-xml.ts";
import { minute, phone, present, renewal, Talk, us } from "./talk.ts";

describe("who asked for services", () => {
  test("is sent new credentials before the old ones end, and again before those do", () => {
    const talk = present();
    expect(talk.ticks(renewal - 2000)).toEqual([]);
    const [push, ...more] = talk.ticks(renewal);
    expect(more).toEqual([]);
    expect(push?.attrs).toEqual({ type: "set", from: us, to: phone, id: expect.any(String) });
    const services = push?.getChild("services", "urn:xmpp:extdisco:2")?.getChildren("service") ?? [];
    expect(services.map(({ attrs }) => [attrs.action, attrs.type, attrs.transport])).toEqual([
      ["modify", "turn", "udp"],
      ["modify", "turn", "tcp"],
      ["modify", "turns", "tcp"],
      ["modify", "turn", "udp"],
    ]);
    expect(services[0]?.attrs).toMatchObject({ expires: "2026-01-01T01:50:01Z", restricted: "1", password: "minted" });
    talk.answers(push, "result");
    expect(talk.ticks(renewal + minute)).toEqual([]);
    expect(talk.ticks(renewal + 51 * minute)).toHaveLength(1);
  });

  test("is sent what was asked for, in the version that was asked in", () => {
    const talk = new Talk();
    talk.isThere();
    talk.says(
      `<iq type='get' id='q' from='${phone}' to='${us}'><services xmlns='urn:xmpp:extdisco:1' type='turns'/></iq>`,
    );
    const services = talk.ticks(renewal)[0]?.getChild("services", "urn:xmpp:extdisco:1");
    expect(services?.attrs.type).toBe("turns");
    expect(services?.getChildren("service").map(({ attrs }) => attrs.type)).toEqual(["turns"]);
  });

  test("is sent nothing if only services without credentials were asked for", () => {
    const talk = new Talk();
    talk.isThere();
    talk.asks(phone, "type='stun'");
    expect(talk.ticks(renewal)).toEqual([]);
  });

  test("has one push, however often the question came, at the time that the last answer calls for", () => {
    const talk = present();
    talk.at = now + 10 * minute;
    talk.asks();
    expect(talk.ticks(renewal)).toEqual([]);
    expect(talk.ticks(renewal + 10 * minute)).toHaveLength(1);
  });

  test("may come after the question, too", () => {
    const talk = new Talk();
    talk.asks();
    talk.isThere();
    expect(talk.ticks(renewal)).toHaveLength(1);
  });

  test.each([
    ["showed no presence", (talk: Talk) => talk.isThere("alice@example.org/other")],
    [
      "showed it to somebody else's account here",
      (talk: Talk) => talk.says(`<presence from='${phone}' to='bob@${us}'/>`),
    ],
  ])("and %s is sent nothing, and forgotten", (_, before) => {
    const talk = new Talk();
    before(talk);
    talk.asks();
    expect(talk.ticks(renewal)).toEqual([]);
    talk.isThere();
    expect(talk.ticks(renewal + 60 * minute)).toEqual([]);
  });
});

describe("when services come and go, who asked", () => {
  const stun = { type: "stun", host: "192.0.2.1", port: 3478 } as const;
  const turnAt = (host: string) => ({ type: "turn", host, port: 3478, transport: "udp" }) as const;
  const before: readonly ExternalService[] = [stun, turnAt("192.0.2.1"), turnAt("relay.example.org")];
  const after: readonly ExternalService[] = [
    { ...stun, host: "192.0.2.2" },
    turnAt("192.0.2.2"),
    turnAt("relay.example.org"),
  ];

  function moved(changes: Partial<EntityOptions> = {}) {
    const place = { services: before };
    const talk = new Talk({ services: () => place.services, ...changes });
    const move = (to = after) => {
      place.services = to;
    };
    return { talk, move };
  }

  function changesIn(push: Element | undefined): unknown[] {
    const services = push?.getChild("services", "urn:xmpp:extdisco:2")?.getChildren("service") ?? [];
    return services.map(({ attrs }) => [attrs.action, attrs.type, attrs.host, attrs.password]);
  }

  test("is told at once what has changed, with credentials for what is new", () => {
    const { talk, move } = moved();
    talk.isThere();
    talk.asks();
    move();
    const [push, ...more] = talk.ticks(now + 1000);
    expect(changesIn(push)).toEqual([
      ["add", "stun", "192.0.2.2", undefined],
      ["add", "turn", "192.0.2.2", "minted"],
      ["delete", "stun", "192.0.2.1", undefined],
      ["delete", "turn", "192.0.2.1", undefined],
    ]);
    expect(more).toEqual([]);
    talk.answers(push, "result");
    expect(talk.ticks(now + 2000)).toEqual([]);
    expect(changesIn(talk.ticks(renewal)[0])).toContainEqual(["modify", "turn", "192.0.2.2", "minted"]);
  });

  test("is told of his own domain's, and of the type that he asked for", () => {
    const offers = new Map([["example.org", [{ type: "turn" as const, family: "ipv6" as const }]]]);
    const { talk, move } = moved({ offers });
    talk.isThere();
    talk.asks();
    move();
    expect(talk.ticks(now + 1000)).toEqual([]);
    const all = moved();
    all.talk.isThere();
    all.talk.asks(phone, "type='turn'");
    all.move();
    expect(changesIn(all.talk.ticks(now + 1000)[0]).map((change) => (change as string[])[1])).toEqual(["turn", "turn"]);
  });

  test("and has asked again meanwhile, or is gone, is told nothing", () => {
    const { talk, move } = moved();
    talk.isThere();
    talk.asks();
    move();
    talk.asks();
    expect(talk.ticks(now + 1000)).toEqual([]);
    move(before);
    talk.says(`<presence type='unavailable' from='${phone}' to='${us}'/>`);
    expect(talk.ticks(now + 2000)).toEqual([]);
  });

  test("is told within seconds, and not all at one moment, however many there are", () => {
    const { talk, move } = moved();
    for (let device = 0; device < 450; device += 1) {
      talk.isThere(`user${device}@example.org/phone`);
      talk.asks(`user${device}@example.org/phone`);
    }
    move();
    const pushes = [1, 2, 3, 4].map((second) => talk.ticks(now + second * 1000).length);
    expect(pushes).toEqual([200, 200, 50, 0]);
  });
});

describe("who is gone is forgotten", () => {
  test.each([
    ["says so", `<presence type='unavailable' from='${phone}' to='${us}'/>`],
    ["says so for all devices", `<presence type='unavailable' from='alice@example.org' to='${us}'/>`],
    ["bounces", `<presence type='error' from='${phone}' to='${us}'><error/></presence>`],
  ])("when he %s", (_, stanza) => {
    const talk = present();
    talk.says(stanza);
    expect(talk.ticks(renewal)).toEqual([]);
  });

  test("when a push comes back as an error", () => {
    const talk = present();
    talk.answers(talk.ticks(renewal)[0], "error");
    expect(talk.ticks(renewal + 51 * minute)).toEqual([]);
  });

  test("when nobody answered the push before", () => {
    const talk = present();
    expect(talk.ticks(renewal)).toHaveLength(1);
    expect(talk.ticks(renewal + 51 * minute)).toEqual([]);
  });

  test("but not because somebody else says so", () => {
    const talk = present();
    talk.says(`<presence type='unavailable' from='alice@example.org/other' to='${us}'/>`);
    talk.says(`<presence type='unavailable' from='alice@example.or' to='${us}'/>`);
    const [push] = talk.ticks(renewal);
    talk.says(`<iq type='error' id='${push?.attrs.id}' from='mallory@example.org/x' to='${us}'/>`);
    talk.answers(push, "result");
    expect(talk.ticks(renewal + 51 * minute)).toHaveLength(1);
  });

  test("in favour of others, when there are too many", () => {
    const talk = present({ rate: { perSecond: 1000, burst: 1_000_000 } });
    const presence = readXml(`<presence to='${us}'/>`);
    for (let device = 0; device < 10_000; device += 1) {
      presence.attrs.from = `user${device}@example.org/phone`;
      talk.entity.handle(now, { is: "stanza", stanza: presence });
    }
    expect(talk.ticks(renewal)).toEqual([]);
  });

  test("in favour of his own other devices, when those are too many, and of nobody else", () => {
    const talk = present();
    const oldest = "bob@example.org/0";
    talk.isThere(oldest);
    talk.asks(oldest);
    for (let device = 1; device <= 50; device += 1) talk.isThere(`bob@example.org/${device}`);
    expect(talk.ticks(renewal).map(({ attrs }) => attrs.to)).toEqual([phone]);
  });
});

test("no more than 200 pushes leave at a time, and none is lost", () => {
  const talk = new Talk({ rate: { perSecond: 1000, burst: 1_000_000 } });
  for (let device = 0; device < 450; device += 1) {
    talk.isThere(`user${device}@example.org/phone`);
    talk.asks(`user${device}@example.org/phone`, "type='turns'");
  }
  const pushed = [0, 1000, 2000, 3000].map((later) => talk.ticks(renewal + later).map(({ attrs }) => attrs.to));
  expect(pushed.map(({ length }) => length)).toEqual([200, 200, 50, 0]);
  expect(new Set(pushed.flat()).size).toBe(450);
});

describe("a user who is disabled", () => {
  const alice = userHash({ local: "alice", domain: "example.org", resource: "" }, "user key");

  test("is told on every device that asked, and gets no credentials any more", () => {
    const disabled = new Set<string>();
    const talk = present({ isDisabled: (user) => disabled.has(user) });
    talk.isThere("bob@example.org/x");
    talk.asks("bob@example.org/x");
    disabled.add(alice);
    const pushes = talk.entity.handle(now, { is: "user-disabled", user: alice });
    expect(pushes.map(({ attrs }) => attrs.to)).toEqual([phone]);
    const services = pushes[0]?.getChild("services")?.getChildren("service") ?? [];
    expect(services.map(({ attrs }) => attrs.action)).toEqual(Array(4).fill("delete"));
    expect(services.some(({ attrs }) => attrs.username ?? attrs.password ?? attrs.expires)).toBe(false);

    for (const payload of ["services", "credentials"]) {
      const [reply] = talk.says(
        `<iq type='get' id='q' from='${phone}' to='${us}'><${payload} xmlns='urn:xmpp:extdisco:2'/></iq>`,
      );
      expect(reply?.getChild("error")?.getChild("forbidden")).toBeDefined();
    }
    expect(talk.ticks(renewal).map(({ attrs }) => attrs.to)).toEqual(["bob@example.org/x"]);
  });

  test("in silence is sent no push, either", () => {
    let isDisabled = false;
    const talk = present({ isDisabled: () => isDisabled });
    isDisabled = true;
    expect(talk.ticks(renewal)).toEqual([]);
  });
});
