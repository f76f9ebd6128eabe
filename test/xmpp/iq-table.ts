// The component's address as the tests of this room set it up.

import { createHash } from "node:crypto";
import type { Element } from "@xmpp/xml";
import { Entity, type EntityOptions } from "../../src/xmpp/entity.ts";
import type { IqRow, XmppFact } from "../../src/xmpp/iq.ts";
import { iqTable } from "../../src/xmpp/iq-table.ts";
import { isUserOf } from "../../src/xmpp/jid.ts";
import { type BytestreamsOptions, bytestreams } from "../../src/xmpp/xep0065-bytestreams.ts";
import { type RelayNodes, relayNodes } from "../../src/xmpp/xep0278-relay-nodes.ts";
import { consoleOf, FakeRelay, hashOf } from "./console/fake-relay.ts";

export const now = Date.UTC(2026, 0, 1);

const options: Omit<EntityOptions, "report"> = {
  domain: "relay.example.org",
  domains: ["example.org", "other.example.org"],
  services: () => [
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

/** As everything is there, and in use. */
function extensions() {
  return [consoleOf(relayInUse()), relayNodes(channels), bytestreams(proxy)];
}

/** All that is answered. */
export function rows(): readonly IqRow[] {
  return iqTable({ ...options, extensions: extensions() }).rows;
}

export function entity(changes: Partial<EntityOptions> = {}): { entity: Entity; facts: XmppFact[] } {
  const facts: XmppFact[] = [];
  return {
    entity: new Entity({ ...options, extensions: extensions(), report: (fact) => facts.push(fact), ...changes }),
    facts,
  };
}

/** Everybody has a channel, but bob has too many, and for carol there are no ports. */
const channels: RelayNodes = {
  jid: "relay.example.org",
  isServed: (asker) => isUserOf(asker, ["example.org"]),
  userOf: ({ local }) => local,
  services: options.services,
  open(user, answered) {
    const place = { host: "192.0.2.1", localPort: 50_000, remotePort: 50_002 };
    if (user === "bob") answered("too-many");
    else if (user === "carol") answered("exhausted");
    else answered({ id: "c1", ...place, kilobitsPerSecond: 2000, idleSeconds: 60 });
  },
};

/** Alice and bob both wait for the stream of this name; what becomes of the others, their names say. */
const streams: ReadonlyMap<string, ReturnType<BytestreamsOptions["activate"]>> = new Map(
  (
    [
      ["both-wait", undefined],
      ["one-waits", "one-waits"],
      ["too-many", "too-many"],
      ["too-much", "too-much"],
    ] as const
  ).map(([sid, failure]) => [hashOfStream(sid), failure]),
);

function hashOfStream(sid: string): string {
  return createHash("sha1").update(`${sid}alice@example.org/phonebob@example.org/desk`).digest("hex");
}

/** Nobody waits for any other stream. */
const proxy: BytestreamsOptions = {
  jid: "relay.example.org",
  hosts: () => ["192.0.2.5", "2001:db8::5"].map((host) => ({ host, port: 7777 })),
  isServed: (asker) => isUserOf(asker, ["example.org"]),
  userOf: ({ local }) => local,
  activate: (_, hash) => (streams.has(hash) ? streams.get(hash) : "nobody-waits"),
};

function relayInUse(): FakeRelay {
  const relay = new FakeRelay();
  relay.opens(7, hashOf("alice"), now);
  relay.histories.hear(now - 60_000, { fact: "credentials-issued", user: hashOf("alice"), until: now + 60_000 });
  return relay;
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

/** What is answered to these stanzas, one after the other, and what is said later. */
export function converse(stanzas: readonly Element[]): Element[] {
  const later: Element[] = [];
  const { entity: us } = entity({ say: (stanza) => later.push(stanza) });
  return [...stanzas.flatMap((stanza) => us.handle(now, { is: "stanza", stanza })), ...later];
}
