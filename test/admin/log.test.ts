// The log: facts as lines, and nobody in them unless the operator asks.

import { describe, expect, test } from "vitest";
import { type LogOptions, openLog } from "../../src/admin/log.ts";
import { maskAddress } from "../../src/admin/masking.ts";
import type { Fact } from "../../src/contract.ts";

const opened: Fact = {
  fact: "allocation-opened",
  relay: 7,
  user: "1800000000:alice",
  transport: "udp",
  client: { address: "203.0.113.77", port: 5555 },
  relayed: { address: "2001:db8:1:2::3", port: 50_000 },
};

const answered: Fact = { fact: "answered", method: "Allocate", code: 401, transport: "udp", client: opened.client };

function open(options: Partial<LogOptions> = {}) {
  const lines: string[] = [];
  const sink = { write: (line: string) => void lines.push(line) };
  const log = openLog({ level: "info", format: "json", addresses: "masked", ...options }, sink);
  return { log, lines };
}

describe("the log", () => {
  test("writes a fact as one line of JSON", () => {
    const { log, lines } = open();
    log.fact(opened);
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? "")).toMatchObject({ level: "info", msg: "allocation-opened", relay: 7 });
  });

  test("counts what there is to complain about, also where it does not write it", () => {
    const { log, lines } = open({ level: "silent" });
    log.fact(opened);
    log.warn("this");
    log.fact({ fact: "fault-of-ours", error: new Error("that") });
    expect(log.complaints).toEqual({ warn: 1, error: 1 });
    expect(lines).toEqual([]);
  });

  test("keeps of addresses the network, and of names a hash that stays the same", () => {
    const { log, lines } = open();
    log.fact(opened);
    log.fact({ fact: "allocation-closed", relay: 7, user: opened.user, why: "expired" });
    const [first, second] = lines.map((line) => JSON.parse(line));
    expect(first).toMatchObject({ client: "203.0.113.0/24", relayed: "2001:db8:1::/48", transport: "udp" });
    expect(first.user).toMatch(/^[0-9a-f]{12}$/);
    expect(second).toMatchObject({ user: first.user, why: "expired" });
    expect(lines.join()).not.toMatch(/alice|203\.0\.113\.77|2001:db8:1:2/);
  });

  test("hashes the names of another log differently", () => {
    const [one, other] = [open(), open()];
    for (const { log } of [one, other]) log.fact(opened);
    expect(JSON.parse(one.lines[0] ?? "").user).not.toBe(JSON.parse(other.lines[0] ?? "").user);
  });

  test("hashes a text that it does not know", () => {
    const { log, lines } = open();
    log.fact({ fact: "something-new", jid: "alice@example.org", list: ["bob@example.org"] });
    expect(lines[0]).not.toMatch(/alice|bob/);
  });

  test("says where a fault happened without quoting what came", () => {
    const { log, lines } = open();
    log.fact({ fact: "iq-handler-failed", what: "urn:x y", error: new TypeError("alice@example.org") });
    expect(lines[0]).not.toContain("alice");
    expect(JSON.parse(lines[0] ?? "")).toMatchObject({
      level: "error",
      what: "urn:x y",
      error: expect.stringMatching(/^TypeError\n +at /),
    });
  });

  test("shows everything when the operator asks", () => {
    const { log, lines } = open({ addresses: "shown" });
    log.fact(opened);
    expect(JSON.parse(lines[0] ?? "")).toMatchObject({
      user: "1800000000:alice",
      client: "203.0.113.77:5555",
      relayed: "[2001:db8:1:2::3]:50000",
    });
  });

  test("leaves single answers to the level debug", () => {
    const [info, debug] = [open(), open({ level: "debug" })];
    for (const { log } of [info, debug]) log.fact(answered);
    expect(info.lines).toEqual([]);
    expect(debug.lines).toHaveLength(1);
    expect(debug.lines[0]).not.toContain("203.0.113.77");
  });

  test.each(["unanswered", "iq-answered", "stanza-dropped"])(
    "leaves %s, of which strangers can have any number, to the level debug",
    (fact) => {
      const [info, debug] = [open(), open({ level: "debug" })];
      for (const { log } of [info, debug]) log.fact({ fact });
      expect([info.lines.length, debug.lines.length]).toEqual([0, 1]);
    },
  );

  test("is silent when asked to be", () => {
    const { log, lines } = open({ level: "silent" });
    log.fact(opened);
    log.error("a fault");
    expect(lines).toEqual([]);
  });

  test("is one readable line when pretty", () => {
    const { log, lines } = open({ format: "pretty" });
    log.fact(opened);
    expect(lines.join("")).toMatch(/^\[[\d:]+\] INFO: allocation-opened \{.*\}\n$/);
    expect(lines.join("")).not.toContain("alice");
  });

  test("lets nobody write a line of their own", () => {
    for (const format of ["json", "pretty"] as const) {
      const { log, lines } = open({ format, addresses: "shown" });
      log.fact({
        fact: "allocation-closed",
        relay: 1,
        user: "eve\n[12:00:00] INFO: all is well\u001b[2J",
        why: "deleted",
      });
      expect(lines.join("").trimEnd()).not.toContain("\n");
      expect(lines.join("")).not.toContain("\u001b[2J");
    }
  });
});

describe("a masked address", () => {
  test.each([
    ["192.0.2.200", "192.0.2.0/24"],
    ["2001:db8:1:2::3", "2001:db8:1::/48"],
    ["::1", "::/48"],
    ["::ffff:192.0.2.200", "192.0.2.0/24"],
    ["alice", "(no address)"],
  ])("of %s is %s", (address, masked) => {
    expect(maskAddress(address)).toBe(masked);
  });
});
