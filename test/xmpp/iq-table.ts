// The component's address as the tests of this room set it up.

import type { Element } from "@xmpp/xml";
import { Entity, type EntityOptions } from "../../src/xmpp/entity.ts";
import type { XmppFact } from "../../src/xmpp/iq.ts";

export const now = Date.UTC(2026, 0, 1);

const options: Omit<EntityOptions, "report"> = {
  domain: "relay.example.org",
  domains: ["example.org", "other.example.org"],
  services: [
    { type: "stun", host: "relay.example.org", port: 3478 },
    { type: "turn", host: "relay.example.org", port: 3478, transport: "udp" },
    { type: "turn", host: "relay.example.org", port: 3478, transport: "tcp" },
    { type: "turns", host: "relay.example.org", port: 5349, transport: "tcp" },
    { type: "turn", host: "2001:db8::5", port: 3478, transport: "udp" },
  ],
  contact: { abuse: ["mailto:abuse@example.org", "xmpp:abuse@example.org"], admin: ["xmpp:admin@example.org"] },
  userKey: "user key",
  mint: (user, now) => ({ username: `${now / 1000 + 3600}:${user}`, password: "minted", expires: now + 3_600_999 }),
  version: "1.2.3",
  budgetKey: new Uint8Array(16),
};

export function entity(changes: Partial<EntityOptions> = {}): { entity: Entity; facts: XmppFact[] } {
  const facts: XmppFact[] = [];
  return { entity: new Entity({ ...options, report: (fact) => facts.push(fact), ...changes }), facts };
}

/** What is answered to `stanza`, and the facts that were reported on the way. */
export function ask(
  stanza: Element,
  changes: Partial<EntityOptions> = {},
): { reply: Element | undefined; replies: Element[]; facts: XmppFact[] } {
  const { entity: us, facts } = entity(changes);
  const replies = us.handle(now, { is: "stanza", stanza });
  return { reply: replies[0], replies, facts };
}
