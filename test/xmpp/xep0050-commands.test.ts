import xml, { type Element } from "@xmpp/xml";
import { beforeEach, describe, expect, test } from "vitest";
import type { Command } from "../../src/xmpp/command.ts";
import { answerIq, type XmppFact } from "../../src/xmpp/iq.ts";
import type { Answers } from "../../src/xmpp/xep0004-data-forms.ts";
import { writeTable } from "../../src/xmpp/xep0004-data-forms.ts";
import { commands } from "../../src/xmpp/xep0050-commands.ts";

const namespace = "http://jabber.org/protocol/commands";

/** Asks for a colour and a size, shows two pages of paint, and paints. */
const painted: string[] = [];
let mayRun = true;
const paint: Command = {
  node: "paint",
  name: "Paint",
  mayRun: () => mayRun,
  next(answers) {
    const [colour, size] = answers;
    if (!colour) {
      return {
        isLast: false,
        asks: {
          title: "Paint",
          fields: [
            { type: "fixed", value: "Which colour?" },
            { type: "list-single", name: "colour", label: "Colour", options: { r: "red", g: "green" }, value: "g" },
          ],
        },
      };
    }
    if (!size) {
      const fields = [
        { type: "text-single", name: "size", label: "Size", isRequired: true },
        { type: "boolean", name: "gloss", label: "Gloss" },
      ] as const;
      return { isLast: true, asks: { title: "Size", fields } };
    }
    if (size.get("size") === "0") return { wrong: "nothing to paint" };
    painted.push([colour.get("colour"), size.get("size"), size.get("gloss")].join(" "));
    return { done: "painted" };
  },
};
const pages: Command = {
  node: "pages",
  name: "Pages",
  mayRun: () => true,
  next: (answers) => ({
    shows: writeTable({ columns: ["Page"], rows: [[String(answers.length + 1)]] }),
    hasMore: answers.length < 2,
  }),
};

let now: number;
let facts: XmppFact[];
let table: ReturnType<typeof commands>["rows"];

beforeEach(() => {
  now = 1_800_000_000_000;
  facts = [];
  mayRun = true;
  painted.length = 0;
  table = commands({
    jid: "relay.example.org",
    commands: [paint, pages],
    sessionKey: "session key",
    nameOf: ({ local }) => `hash of ${local}`,
  }).rows;
});

interface Sent {
  readonly from?: string;
  readonly node?: string;
  readonly action?: string | undefined;
  readonly sessionid?: string | undefined;
}

function send({ from = "admin@example.org/desk", node = "paint", ...attributes }: Sent, answers?: Answers): Element {
  const fields = [...(answers ?? [])].map(([name, value]) => xml("field", { var: name }, xml("value", {}, value)));
  const form = answers ? [xml("x", { xmlns: "jabber:x:data", type: "submit" }, ...fields)] : [];
  const payload = xml("command", { xmlns: namespace, node, ...attributes }, ...form);
  const iq = xml("iq", { type: "set", id: "1", from, to: "relay.example.org" }, payload);
  const reply = answerIq(table, iq, { now, report: (fact) => facts.push(fact) });
  if (!reply) throw new Error("no reply");
  return reply;
}

function open(sent: Sent, answers?: Answers) {
  const command = send(sent, answers).getChild("command", namespace);
  if (!command) throw new Error("refused");
  const actions = command.getChild("actions");
  return {
    status: command.attrs.status,
    sessionid: command.attrs.sessionid as string,
    execute: actions?.attrs.execute,
    actions: actions?.getChildElements().map(({ name }) => name),
    title: command.getChild("x")?.getChildText("title"),
    page: command.getChild("x")?.getChild("item")?.getChild("field")?.getChildText("value"),
    note: command.getChildText("note"),
  };
}

function errorOf(reply: Element) {
  const error = reply.getChild("error");
  const conditions = error?.getChildElements().map(({ name }) => name) ?? [];
  return [error?.attrs.type, ...conditions.filter((name) => name !== "text")];
}

describe("a command", () => {
  test("is run in steps, and acts after the last one", () => {
    const first = open({});
    expect(first).toMatchObject({ status: "executing", execute: "next", actions: ["next"], title: "Paint" });
    const { sessionid } = first;
    const second = open({ sessionid, action: "next" }, new Map([["colour", "r"]]));
    expect(second).toMatchObject({
      status: "executing",
      execute: "complete",
      actions: ["prev", "complete"],
      sessionid,
    });
    expect(painted).toEqual([]);
    const answers = new Map([
      ["size", " 7 "],
      ["gloss", "true"],
      ["unasked", "!"],
    ]);
    expect(open({ sessionid, action: "complete" }, answers)).toMatchObject({ status: "completed", note: "painted" });
    expect(painted).toEqual(["r 7 1"]);
    expect(facts).toContainEqual({ fact: "command-run", what: "paint", user: "hash of admin", outcome: "done" });
  });

  test("takes execute for what is usual, and the form's own values where none are given", () => {
    const { sessionid } = open({});
    open({ sessionid, action: "execute" });
    open({ sessionid }, new Map([["size", "7"]]));
    expect(painted).toEqual(["g 7 0"]);
  });

  test("goes back to the stage before, without acting", () => {
    const { sessionid } = open({});
    open({ sessionid, action: "next" }, new Map([["colour", "r"]]));
    expect(open({ sessionid, action: "prev" })).toMatchObject({ title: "Paint", actions: ["next"] });
    open({ sessionid, action: "next" }, new Map([["colour", "g"]]));
    open({ sessionid, action: "complete" }, new Map([["size", "1"]]));
    expect(painted).toEqual(["g 1 0"]);
  });

  test("is canceled at any stage, and then its session is over", () => {
    const { sessionid } = open({});
    expect(open({ sessionid, action: "cancel" })).toMatchObject({ status: "canceled", sessionid });
    expect(errorOf(send({ sessionid, action: "next" }))).toEqual(["cancel", "not-allowed", "session-expired"]);
  });

  test("shows page after page, and ends at any of them", () => {
    const { sessionid, ...first } = open({ node: "pages" });
    expect(first).toMatchObject({ status: "executing", execute: "next", actions: ["next", "complete"], page: "1" });
    expect(open({ node: "pages", sessionid })).toMatchObject({ page: "2", actions: ["prev", "next", "complete"] });
    expect(open({ node: "pages", sessionid, action: "prev" })).toMatchObject({ page: "1" });
    open({ node: "pages", sessionid, action: "next" });
    const last = open({ node: "pages", sessionid, action: "next" });
    expect(last).toMatchObject({ page: "3", actions: ["prev", "complete"], execute: "complete" });
    expect(open({ node: "pages", sessionid, action: "complete" })).toMatchObject({ status: "completed" });
  });
});

describe("is refused (section 4.4)", () => {
  test.each([
    ["a command that there is none of", { node: "dance" }, ["cancel", "item-not-found"]],
    ["an action that there is none of", { action: "dance" }, ["modify", "bad-request", "malformed-action"]],
    ["an action before the first stage", { action: "next" }, ["modify", "bad-request", "bad-action"]],
    ["a session that never was", { sessionid: "1-0" }, ["modify", "bad-request", "bad-sessionid"]],
    ["an empty session id", { sessionid: "" }, ["modify", "bad-request", "bad-sessionid"]],
  ])("%s", (_, sent, error) => {
    expect(errorOf(send(sent))).toEqual(error);
  });

  test.each(["prev", "complete"])("%s at a first stage that others follow; the session goes on", (action) => {
    const { sessionid } = open({});
    expect(errorOf(send({ sessionid, action }))).toEqual(["modify", "bad-request", "bad-action"]);
    expect(open({ sessionid, action: "next" })).toMatchObject({ status: "executing" });
  });

  test.each([
    ["a choice that was not offered", {}, [["colour", "blue"]]],
    ["nothing where something is required", { second: true }, []],
    [
      "what is neither true nor false",
      { second: true },
      [
        ["size", "1"],
        ["gloss", "perhaps"],
      ],
    ],
    ["what the command cannot take", { second: true }, [["size", "0"]]],
  ] as const)("%s; the session goes on", (_, { second = false }: { second?: boolean }, answers) => {
    const { sessionid } = open({});
    if (second) open({ sessionid, action: "next" });
    const { action } = { action: second ? "complete" : "next" };
    expect(errorOf(send({ sessionid, action }, new Map(answers)))).toEqual(["modify", "bad-request", "bad-payload"]);
    expect(
      open(
        { sessionid, action },
        new Map([
          ["colour", "r"],
          ["size", "1"],
        ]),
      ).status,
    ).toBe(second ? "completed" : "executing");
  });

  test("who may not run it any more, also in the middle", () => {
    const { sessionid } = open({});
    mayRun = false;
    expect(errorOf(send({ sessionid, action: "next" }))).toEqual(["cancel", "forbidden"]);
    expect(errorOf(send({}))).toEqual(["cancel", "forbidden"]);
  });

  test.each([
    ["somebody else", { from: "other@example.org/desk" }],
    ["another device", { from: "admin@example.org/phone" }],
    ["another command", { node: "pages" }],
  ])("a session of %s", (_, other) => {
    const { sessionid } = open({});
    expect(errorOf(send({ sessionid, action: "next", ...other }))).toEqual(["modify", "bad-request", "bad-sessionid"]);
    expect(open({ sessionid, action: "next" }).status).toBe("executing");
  });
});

describe("sessions", () => {
  test("end ten minutes after the last step", () => {
    const { sessionid } = open({});
    now += 599_000;
    open({ sessionid, action: "next" });
    now += 599_000;
    expect(open({ sessionid, action: "prev" }).status).toBe("executing");
    now += 600_000;
    expect(errorOf(send({ sessionid, action: "next" }))).toEqual(["cancel", "not-allowed", "session-expired"]);
  });

  test("are eight for one user; of more, the one that waited longest ends", () => {
    const ids = Array.from({ length: 8 }, (_, device) => open({ from: `admin@example.org/${device}` }).sessionid);
    open({ from: "admin@example.org/0", sessionid: ids[0], action: "next" });
    open({ from: "admin@example.org/9" });
    const stepOf = (device: number) =>
      send({ from: `admin@example.org/${device}`, sessionid: ids[device], action: "execute" });
    expect(errorOf(stepOf(1))).toContain("session-expired");
    expect(errorOf(stepOf(2))).toEqual([undefined]);
    expect(open({ from: "other@example.org/x" }).status).toBe("executing");
  });

  test("are 256 in all", () => {
    const ids = Array.from({ length: 257 }, (_, n) => open({ from: `u${n}@example.org/x` }).sessionid);
    const stepOf = (n: number) => errorOf(send({ from: `u${n}@example.org/x`, sessionid: ids[n], action: "next" }));
    expect(stepOf(0)).toContain("session-expired");
    expect(stepOf(1)).toEqual([undefined]);
    expect(new Set(ids).size).toBe(257);
  });
});
