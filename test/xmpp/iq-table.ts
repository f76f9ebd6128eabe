// The table of IQs as the tests of this room set it up.

import type { Element } from "@xmpp/xml";
import { answerIq, type XmppFact } from "../../src/xmpp/iq.ts";
import { type IqTableOptions, iqTable } from "../../src/xmpp/iq-table.ts";

export const now = Date.UTC(2026, 0, 1);

const options: IqTableOptions = {
  domains: ["example.org", "other.example.org"],
  services: [
    { type: "stun", host: "relay.example.org", port: 3478 },
    { type: "turn", host: "relay.example.org", port: 3478, transport: "udp" },
    { type: "turn", host: "relay.example.org", port: 3478, transport: "tcp" },
    { type: "turns", host: "relay.example.org", port: 5349, transport: "tcp" },
    { type: "turn", host: "2001:db8::5", port: 3478, transport: "udp" },
  ],
  userKey: "user key",
  mint: (user, now) => ({ username: `${now / 1000 + 3600}:${user}`, password: "minted", expires: now + 3_600_999 }),
  version: "1.2.3",
};

/** What is answered to `iq`, and the facts that were reported on the way. */
export function ask(
  iq: Element,
  changes: Partial<IqTableOptions> = {},
): { reply: Element | undefined; facts: XmppFact[] } {
  const facts: XmppFact[] = [];
  const reply = answerIq(iqTable({ ...options, ...changes }), iq, { now, report: (fact) => facts.push(fact) });
  return { reply, facts };
}
