// XEP-0065: where our SOCKS5 proxy is, and the word on which it joins two who wait there.

import { createHash } from "node:crypto";
import xml, { type Element } from "@xmpp/xml";
import type { Millis } from "../contract.ts";
import type { Extension } from "./extension.ts";
import type { IqRequest } from "./iq.ts";
import { type Jid, parseJid } from "./jid.ts";
import { type Refusal, refuse } from "./stanza-errors.ts";

const namespace = "http://jabber.org/protocol/bytestreams";

/** Where the proxy is: a domain name, or an IP address without brackets. */
export interface StreamHost {
  readonly host: string;
  readonly port: number;
}

/** What became of it; `undefined` if the two are joined. */
export type ActivationFailure = "nobody-waits" | "one-waits" | "too-many" | "too-much";

export interface BytestreamsOptions {
  /** Our own address. */
  readonly jid: string;
  readonly hosts: () => readonly StreamHost[];
  readonly isServed: (asker: Jid, now: Millis) => boolean;
  /** The name that quotas know a user by. */
  readonly userOf: (asker: Jid) => string;
  readonly activate: (now: Millis, hash: string, user: string) => ActivationFailure | undefined;
}

export function bytestreams(options: BytestreamsOptions): Extension {
  return {
    rows: [
      { type: "get", namespace, element: "query", answer: (asked) => hosts(asked, options) },
      { type: "set", namespace, element: "query", answer: (asked) => activate(asked, options) },
    ],
    identities: [{ category: "proxy", type: "bytestreams", name: "Sluice" }],
  };
}

/** Section 4.2. */
function hosts({ from, now }: IqRequest, { jid, hosts, isServed }: BytestreamsOptions): Element | Refusal {
  if (!isServed(from, now)) return refuse("forbidden");
  const places = hosts();
  if (places.length === 0) return refuse("not-allowed");
  const each = places.map(({ host, port }) => xml("streamhost", { jid, host, port: String(port) }));
  return xml("query", { xmlns: namespace }, ...each);
}

/**
 * Section 6.3.5. Whoever asks is a party to the stream, or else the hash is another: it is made of the sender's address. So
 * `not-authorized` for hashes that differ is `item-not-found`, as with Prosody and ejabberd: nobody waits for such a one.
 */
function activate(
  { iq, from, payload, now }: IqRequest,
  { isServed, userOf, activate }: BytestreamsOptions,
): Refusal | undefined {
  if (!isServed(from, now)) return refuse("forbidden");
  const { sid } = payload.attrs;
  const target = payload.getChildText("activate")?.trim();
  if (!sid || !target || !parseJid(target)) return refuse("bad-request", "a sid and the target's address are needed");
  const hash = createHash("sha1").update(`${sid}${iq.attrs.from}${target}`).digest("hex");
  const failure = activate(now, hash, userOf(from));
  return failure && refusals[failure];
}

const refusals: Readonly<Record<ActivationFailure, Refusal>> = {
  "nobody-waits": refuse("item-not-found", "nobody has connected for this stream"),
  "one-waits": refuse("not-allowed", "only one of the two has connected"),
  "too-many": refuse("resource-constraint", "there are as many streams as there may be"),
  "too-much": refuse("resource-constraint", "no more can be sent today"),
};
