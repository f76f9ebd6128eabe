import xml, { type Element } from "@xmpp/xml";
import { beforeEach, describe, expect, test } from "vitest";
import { answerIq, type IqRow, type XmppFact } from "../../../src/xmpp/iq.ts";
import { administrator, consoleOf, FakeRelay, hashOf } from "./fake-relay.ts";

const namespace = "http://jabber.org/protocol/commands";

let now: number;
let relay: FakeRelay;
let rows: readonly IqRow[];
let facts: XmppFact[];

beforeEach(() => {
  now = 1_800_000_000_000;
  facts = [];
  relay = new FakeRelay();
  rows = consoleOf(relay).rows;
});

/** One step of a command. */
function step(node: string, attributes: Record<string, string>, fields?: Record<string, string>, from = administrator) {
  const written = Object.entries(fields ?? {}).map(([name, value]) =>
    xml("field", { var: name }, xml("value", {}, value)),
  );
  const form = fields ? [xml("x", { xmlns: "jabber:x:data", type: "submit" }, ...written)] : [];
  const payload = xml("command", { xmlns: namespace, node, ...attributes }, ...form);
  const iq = xml("iq", { type: "set", id: "1", from: `${from}/desk`, to: "relay.example.org" }, payload);
  const reply = answerIq(rows, iq, { now, report: (fact) => facts.push(fact) });
  if (!reply) throw new Error("no reply");
  return reply;
}

/** Runs a command to its end, filling in one form after the other. */
function run(node: string, ...forms: Record<string, string>[]) {
  let reply = step(node, {});
  for (const fields of forms) reply = step(node, { sessionid: sessionOf(reply) }, fields);
  return reply;
}

function sessionOf(reply: Element): string {
  return reply.getChild("command")?.attrs.sessionid ?? "";
}

function noteOf(reply: Element) {
  const note = reply.getChild("command")?.getChild("note");
  return [note?.attrs.type, note?.text()];
}

function errorOf(reply: Element) {
  return reply.getChild("error")?.getChildText("text") ?? reply.getChild("error")?.getChildElements()[0]?.name;
}

function rowsOf(reply: Element): string[][] {
  const items = reply.getChild("command")?.getChild("x")?.getChildren("item") ?? [];
  return items.map((item) => item.getChildren("field").map((field) => field.getChildText("value") ?? ""));
}

function fixedOf(reply: Element): string[] {
  const fields = reply.getChild("command")?.getChild("x")?.getChildrenByAttr("type", "fixed") ?? [];
  return fields.map((field) => field.getChildText("value") ?? "");
}

function linesOf(reply: Element): Record<string, string> {
  const fields = reply.getChild("command")?.getChild("x")?.getChildren("field") ?? [];
  return Object.fromEntries(
    fields.map((field) => [
      field.attrs.label,
      field
        .getChildren("value")
        .map((value) => value.text())
        .join("\n"),
    ]),
  );
}

describe("who may", () => {
  test("administrators see every command, users those about themselves, and strangers none", () => {
    const { describe } = consoleOf(relay);
    const nodes = (local: string, domain: string) => {
      const seen = describe?.(namespace, { local, domain, resource: "x" });
      return seen && "items" in seen ? seen.items?.map(({ node }) => node) : undefined;
    };
    const own = ["last-call", "my-relays"];
    const all = [...own, "status", "allocations", "close", "drain", "ban", "lift-ban", "credentials"];
    expect(nodes("admin", "example.org")).toEqual(all);
    expect(nodes("alice", "example.org")).toEqual(own);
    expect(nodes("mallory", "elsewhere.example")).toEqual([]);
    expect(nodes("admin", "elsewhere.example")).toEqual([]);
    expect(nodes("", "example.org")).toEqual([]);
  });

  test.each(["status", "allocations", "close", "drain", "ban", "lift-ban", "credentials"])(
    "%s is for administrators only",
    (node) => {
      expect(errorOf(step(node, {}, undefined, "alice@example.org"))).toBe("forbidden");
    },
  );
});

describe("the live allocations", () => {
  test("come in pages of 20, with masked addresses", () => {
    for (let id = 1; id <= 45; id++) relay.opens(id, `user ${id}`, now);
    const first = run("allocations", {});
    expect(rowsOf(first)).toHaveLength(20);
    expect(rowsOf(first)[0]).toEqual([
      "1",
      "user 1",
      "udp",
      "198.51.100.0/24",
      "192.0.2.1:50001",
      "1 min",
      "8 min",
      "12.3 kB",
      "999 B",
    ]);
    const sessionid = sessionOf(first);
    expect(rowsOf(step("allocations", { sessionid, action: "next" }))[0]?.[0]).toBe("21");
    const last = step("allocations", { sessionid, action: "next" });
    expect(rowsOf(last).map(([number]) => number)).toEqual(["41", "42", "43", "44", "45"]);
    expect(rowsOf(step("allocations", { sessionid, action: "prev" }))[0]?.[0]).toBe("21");
  });

  test("show addresses when asked to", () => {
    relay.opens(1, "alice", now);
    expect(rowsOf(run("allocations", { addresses: "1" }))[0]?.[3]).toBe("198.51.100.7:5000");
  });

  test("are those of one user, by JID or by TURN name", () => {
    relay.opens(1, hashOf("alice"), now);
    relay.opens(2, "static", now);
    const numbers = (user: string) => rowsOf(run("allocations", { user })).map(([number]) => number);
    expect(numbers("Alice@Example.org")).toEqual(["1"]);
    expect(numbers("alice@example.org/phone")).toEqual(["1"]);
    expect(numbers("static")).toEqual(["2"]);
    expect(noteOf(run("allocations", { user: "nobody@example.org" }))).toEqual(["info", "There are none."]);
  });
});

describe("closing an allocation", () => {
  test("asks first, and says whose it is", () => {
    relay.opens(7, "alice", now);
    const asked = run("close", { number: "7" });
    expect(fixedOf(asked)).toEqual(["Number 7, of user alice, over udp from 198.51.100.0/24, for 1 min."]);
    expect(relay.allocations).toHaveLength(1);
    const done = step("close", { sessionid: sessionOf(asked), action: "complete" });
    expect(noteOf(done)).toEqual(["info", "It is closed."]);
    expect(relay.allocations).toEqual([]);
    expect(facts).toContainEqual({ fact: "command-run", what: "close", user: hashOf("admin"), outcome: "done" });
  });

  test("of a number that there is none of is refused, and of one that ended meanwhile fails", () => {
    relay.opens(7, "alice", now);
    expect(errorOf(run("close", { number: "8" }))).toBe("there is no allocation of that number");
    const asked = run("close", { number: "7" });
    relay.allocations = [];
    expect(noteOf(step("close", { sessionid: sessionOf(asked) }))[0]).toBe("error");
  });
});

test("draining asks first", () => {
  const asked = run("drain");
  expect(relay.hasDrained).toBe(false);
  expect(noteOf(step("drain", { sessionid: sessionOf(asked) }))[1]).toBe("It drains. Allocations left: 0.");
  expect(relay.hasDrained).toBe(true);
});

describe("banning", () => {
  test.each([
    ["jid", "Alice@example.org", { user: hashOf("alice") }],
    ["jid", "d'artagnan@example.org", { user: hashOf("d\\27artagnan") }],
    ["user", "static", { user: "static" }],
    ["network", "198.51.100.0/24", { network: "198.51.100.0/24" }],
  ])("by %s asks first, and holds for the minutes given", (kind, who, whom) => {
    const asked = run("ban", { kind, who, minutes: "90" });
    expect(fixedOf(asked)[0]).toContain("for 1 h");
    expect(relay.bans).toEqual([]);
    expect(noteOf(step("ban", { sessionid: sessionOf(asked), action: "complete" }))[0]).toBe("info");
    expect(relay.bans).toEqual([{ whom, until: now + 90 * 60_000 }]);
  });

  test.each([
    [{ kind: "jid", who: "not a jid", minutes: "5" }, "that is not the JID of an account"],
    [{ kind: "jid", who: "example.org", minutes: "5" }, "that is not the JID of an account"],
    [{ kind: "network", who: "everybody", minutes: "5" }, "that is no address, or a network of far too many"],
    [{ who: "alice@example.org", minutes: "0" }, "the minutes are a number from 1 to 43200"],
    [{ who: "alice@example.org", minutes: "43201" }, "the minutes are a number from 1 to 43200"],
    [{ who: "alice@example.org", minutes: "1e3.5" }, "the minutes are a number from 1 to 43200"],
    [{ kind: "planet", who: "x" }, "Who: planet is not possible"],
  ])("of %j is refused: %s", (fields: Record<string, string>, error) => {
    expect(errorOf(run("ban", fields))).toBe(error);
    expect(relay.bans).toEqual([]);
  });

  test("fails where there are too many bans", () => {
    relay.bansAtMost = 0;
    expect(noteOf(run("ban", { who: "alice@example.org" }, {}))[0]).toBe("error");
  });

  test("ends when it is lifted", () => {
    expect(noteOf(run("lift-ban"))).toEqual(["info", "Nobody is banned."]);
    run("ban", { kind: "user", who: "static" }, {});
    run("ban", { kind: "network", who: "198.51.100.7" }, {});
    expect(noteOf(run("lift-ban", { ban: "user static" }))[1]).toBe("No longer banned: user static.");
    expect(relay.bans.map(({ whom }) => whom)).toEqual([{ network: "198.51.100.7" }]);
    const asked = run("lift-ban");
    run("ban", { kind: "user", who: "another" }, {});
    relay.bans = relay.bans.slice(1);
    const late = step("lift-ban", { sessionid: sessionOf(asked) }, { ban: "clients at 198.51.100.7" });
    expect(errorOf(late)).toBe("that ban has ended");
  });
});

describe("credentials for a user", () => {
  test("are those of the user, for as long as is asked", () => {
    const lines = linesOf(run("credentials", { jid: "Alice@example.org", hours: "2" }));
    expect(lines).toEqual({
      Username: `7200:${hashOf("alice")}`,
      Credential: "minted",
      "Good until": "2026-01-01T02:00:00Z",
      Servers: "turn:192.0.2.1:3478?transport=udp\nturn:192.0.2.1:3478?transport=tcp",
    });
  });

  test.each([
    [{ jid: "example.org" }, "the JID of an account is needed"],
    [{ jid: "alice@example.org", hours: "169" }, "the hours are a number from 1 to 168"],
    [{}, "JID of the user: is missing"],
  ])("are not made for %j", (fields: Record<string, string>, error) => {
    expect(errorOf(run("credentials", fields))).toBe(error);
  });
});

describe("a user", () => {
  test("is told why his last call failed, and nothing of others", () => {
    relay.histories.hear(now - 120_000, { fact: "credentials-issued", user: hashOf("alice"), until: now + 1000 });
    const client = { address: "198.51.100.7", port: 5000 };
    const user = hashOf("alice");
    relay.histories.hear(now - 5000, {
      fact: "answered",
      method: "Allocate",
      code: 486,
      transport: "udp",
      client,
      user,
    });
    const told = step("last-call", {}, undefined, "alice@example.org");
    expect(noteOf(told)[1]).toMatch(/^Last: Allocate was refused \(486\)/);
    expect(Object.keys(linesOf(told))).toEqual(["5 s ago", "2 min ago"]);
    expect(noteOf(step("last-call", {}, undefined, "bob@example.org"))[1]).toContain("has not heard of you");
  });

  test("sees the relays that he uses, and nobody else's", () => {
    relay.opens(1, hashOf("alice"), now);
    relay.opens(2, hashOf("bob"), now);
    const seen = step("my-relays", {}, undefined, "alice@example.org");
    expect(linesOf(seen)).toEqual({ "Relay 1": "over udp, for 1 min; 12.3 kB sent, 999 B received" });
    for (const local of ["alice", "bob"])
      relay.transfers.push({ user: hashOf(local), since: now - 5000, bytes: 2_000_000 });
    const more = step("my-relays", {}, undefined, "alice@example.org");
    expect(linesOf(more)).toMatchObject({ File: "for 5 s; 2.0 MB so far" });
    expect(noteOf(more)[1]).toBe("2 in use.");
    expect(noteOf(step("my-relays", {}, undefined, "carol@example.org"))[1]).toBe("None.");
  });
});

test("the status is told line by line", () => {
  expect(linesOf(run("status"))).toEqual({
    Version: "1.2.3",
    Listening: "udp 192.0.2.1:3478\ntcp 192.0.2.1:3478",
  });
});
