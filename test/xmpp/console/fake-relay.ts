// A relay on paper for the console's commands: what it holds is there to be read, and what is done to it is written down.

import type { Banned, Millis } from "../../../src/contract.ts";
import { CallHistories } from "../../../src/xmpp/console/call-histories.ts";
import type { LiveAllocation, LiveBan, LiveTransfer, Operations } from "../../../src/xmpp/console/operations.ts";
import { operatorConsole } from "../../../src/xmpp/console/operator-console.ts";
import { isUserOf } from "../../../src/xmpp/jid.ts";
import { userHash } from "../../../src/xmpp/xep0215-external-services.ts";

export class FakeRelay {
  allocations: LiveAllocation[] = [];
  transfers: LiveTransfer[] = [];
  bans: LiveBan[] = [];
  bansAtMost = 3;
  hasDrained = false;
  readonly histories = new CallHistories();

  /** `user` as quotas count him. */
  opens(id: number, user: string, now: Millis, client = "198.51.100.7"): void {
    const usage = { toPeer: { packets: 100, bytes: 12_345 }, toClient: { packets: 50, bytes: 999 } };
    this.allocations.push({
      id,
      user,
      transport: "udp",
      client: { address: client, port: 5000 },
      relayed: [{ address: "192.0.2.1", port: 50_000 + id }],
      since: now - 90_000,
      until: now + 510_000,
      usage,
    });
  }

  operations(): Operations {
    const isSame = (one: Banned, other: Banned) => JSON.stringify(one) === JSON.stringify(other);
    return {
      status: () => [
        ["Version", "1.2.3"],
        ["Listening", "udp 192.0.2.1:3478\ntcp 192.0.2.1:3478"],
      ],
      allocations: () => this.allocations,
      close: (id) => {
        const before = this.allocations.length;
        this.allocations = this.allocations.filter((each) => each.id !== id);
        return this.allocations.length < before;
      },
      transfers: () => this.transfers,
      bans: () => this.bans,
      ban: (whom, until) => {
        this.bans = [...this.bans.filter((each) => !isSame(each.whom, whom)), { whom, until }].slice(
          0,
          this.bansAtMost,
        );
        return this.bans.some((each) => isSame(each.whom, whom));
      },
      lift: (whom) => {
        this.bans = this.bans.filter((each) => !isSame(each.whom, whom));
      },
      drain: () => {
        this.hasDrained = true;
      },
      credentials: (user, seconds) => ({
        username: `${seconds}:${user}`,
        password: "minted",
        expires: Date.UTC(2026, 0, 1) + seconds * 1000,
        uris: ["turn:192.0.2.1:3478?transport=udp", "turn:192.0.2.1:3478?transport=tcp"],
      }),
      history: (user) => this.histories.of(user),
      readNetwork: (typed) => (/^[\d./]+$/.test(typed) ? typed : undefined),
      mask: (address) => `${address.split(".").slice(0, 3).join(".")}.0/24`,
    };
  }
}

export const administrator = "admin@example.org";

export function hashOf(local: string, domain = "example.org"): string {
  return userHash({ local, domain, resource: "" }, "user key");
}

export function consoleOf(relay: FakeRelay) {
  return operatorConsole({
    jid: "relay.example.org",
    administrators: [administrator],
    isServed: (asker) => isUserOf(asker, ["example.org"]),
    userOf: (jid) => userHash(jid, "user key"),
    sessionKey: "session key",
    operations: relay.operations(),
  });
}
