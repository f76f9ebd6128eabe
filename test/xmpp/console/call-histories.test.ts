import { describe, expect, test } from "vitest";
import type { Fact } from "../../../src/contract.ts";
import { CallHistories } from "../../../src/xmpp/console/call-histories.ts";
import { conclusion, eventText } from "../../../src/xmpp/console/explanations.ts";

const client = { address: "198.51.100.7", port: 5000 };
const second = 1000;
const minute = 60 * second;

function refused(
  code: number,
  who: { user?: string; claimed?: string } = { user: "alice" },
  method = "Allocate",
): Fact {
  return { fact: "answered", method, code, transport: "udp", client, ...who };
}

function opened(relay: number, user = "alice"): Fact {
  return {
    fact: "allocation-opened",
    relay,
    user,
    transport: "udp",
    client,
    relayed: { address: "192.0.2.1", port: relay },
  };
}

function carried(relay: number, toPeer: number, toClient: number): Fact {
  const usage = { toPeer: { packets: toPeer, bytes: toPeer }, toClient: { packets: toClient, bytes: toClient } };
  return { fact: "relay-closed", relay, usage };
}

/** The conclusion for alice after these facts, a second apart, and a minute later. */
function concluded(...facts: readonly (Fact | { fact: "credentials-issued"; user: string; until: number })[]): string {
  const histories = new CallHistories();
  for (const [index, fact] of facts.entries()) histories.hear(index * second, fact);
  return conclusion(histories.of("alice"), facts.length * second + minute);
}

const issued = { fact: "credentials-issued", user: "alice", until: 30 * second } as const;
const closed = (why: "deleted" | "expired" | "hung-up" | "ordered", relay = 7): Fact => ({
  fact: "allocation-closed",
  relay,
  user: "alice",
  why,
});

describe("why a call failed", () => {
  test.each([
    ["nothing is known", [], "has not heard of you"],
    ["credentials were never used", [issued], "never came with them"],
    ["credentials had expired", [issued, refused(401, { claimed: "alice" })], "Your credentials expired 32 s ago"],
    ["the peer was forbidden", [refused(403, undefined, "CreatePermission")], "the address of the other side"],
    ["the user is banned", [refused(403)], "shut out for a while"],
    ["there were too many", [refused(486), refused(486)], "Allocate was refused 2 times (486): you have as many"],
    ["it is open", [opened(7)], "opened over udp and is still open"],
    [
      "nothing came back",
      [opened(7), closed("deleted"), carried(7, 40, 0)],
      "closed by your client after 1 s; your side sent 40 packets, and nothing came back",
    ],
    ["nothing was sent", [opened(7), closed("hung-up"), carried(7, 0, 40)], "lost with the connection of your client"],
    ["nothing went through", [opened(7), closed("expired"), carried(7, 0, 0)], "not refreshed by your client"],
    ["it was closed", [opened(7), closed("ordered"), carried(7, 2, 3)], "2 packets went out and 3 came in"],
    ["a code is not known", [refused(599)], "(599): the relay could not do it"],
  ] as const)("%s", (_, facts, text) => {
    expect(concluded(...facts)).toContain(text);
  });

  test("a stale nonce, a success, and a late request to a relay port that has ended are nothing", () => {
    const late = refused(437, undefined, "Refresh");
    expect(concluded(refused(438), refused(0), late)).toContain("has not heard of you");
    expect(concluded(opened(7), closed("ordered"), late)).toContain("closed by an administrator");
  });

  test("no address stands in it", () => {
    const histories = new CallHistories();
    for (const fact of [opened(7), refused(403, undefined, "CreatePermission")]) histories.hear(0, fact);
    expect(JSON.stringify(histories.of("alice"))).not.toMatch(/198\.51|192\.0/);
  });
});

describe("the memory of calls", () => {
  test("keeps users apart, and 16 events of each", () => {
    const histories = new CallHistories();
    for (let relay = 1; relay <= 20; relay++) histories.hear(relay, opened(relay));
    histories.hear(30, refused(486, { user: "bob" }));
    expect(histories.of("alice").events.map(({ at }) => at)).toEqual(Array.from({ length: 16 }, (_, n) => n + 5));
    expect(histories.of("bob").events).toHaveLength(1);
    histories.hear(40, closed("deleted", 3));
    histories.hear(41, closed("deleted", 20));
    histories.hear(42, carried(20, 1, 1));
    const [last] = histories.of("alice").events.slice(-1);
    expect(last && eventText(last)).toContain("closed by your client");
  });

  test("keeps 4096 users, and forgets the one that nothing happened to for longest", () => {
    const histories = new CallHistories();
    for (let n = 0; n < 4096; n++) histories.hear(n, refused(486, { user: `user ${n}` }));
    histories.hear(5000, refused(508, { user: "user 0" }));
    histories.hear(5001, refused(486, { user: "another" }));
    expect(histories.of("user 0").events).toHaveLength(2);
    expect(histories.of("user 1").events).toEqual([]);
    expect(histories.of("user 2").events).toHaveLength(1);
  });

  test("believes nobody who only says that he is somebody, unless that one is known", () => {
    const histories = new CallHistories();
    histories.hear(0, refused(401, { claimed: "alice" }));
    histories.hear(0, refused(401, {}));
    expect(histories.of("alice").events).toEqual([]);
    histories.hear(1, issued);
    histories.hear(2, refused(401, { claimed: "alice" }));
    expect(histories.of("alice").events).toHaveLength(1);
  });
});
