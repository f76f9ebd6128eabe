// XEP-0278: channels through us for Jingle clients that have no TURN, and who else there is: nobody.

import xml, { type Element } from "@xmpp/xml";
import type { Millis } from "../contract.ts";
import type { Extension } from "./extension.ts";
import type { IqRequest, Postponed } from "./iq.ts";
import type { Jid } from "./jid.ts";
import { type Refusal, refuse } from "./stanza-errors.ts";
import type { ExternalService } from "./xep0215-external-services.ts";

const servicesNamespace = "http://jabber.org/protocol/jinglenodes";
const channelNamespace = "http://jabber.org/protocol/jinglenodes#channel";

export interface RelayNodes {
  /** Our own address. */
  readonly jid: string;
  /** Others are forbidden. */
  readonly isServed: (asker: Jid, now: Millis) => boolean;
  /** How quotas call whoever this is. */
  readonly userOf: (jid: Jid) => string;
  /** Of these, what is STUN over UDP is named, too. */
  readonly services: () => readonly ExternalService[];
  /** Answers, in time, by calling back once. */
  readonly open: (user: string, answered: (outcome: RelayChannel | "too-many" | "exhausted") => void) => void;
}

export interface RelayChannel {
  readonly id: string;
  readonly host: string;
  /** For who asked. */
  readonly localPort: number;
  /** For the candidate that he offers to the other party. */
  readonly remotePort: number;
  readonly kilobitsPerSecond: number;
  readonly idleSeconds: number;
}

export function relayNodes(options: RelayNodes): Extension {
  return {
    rows: [
      { type: "get", namespace: servicesNamespace, element: "services", answer: (asked) => services(options, asked) },
      { type: "get", namespace: channelNamespace, element: "channel", answer: (asked) => channel(options, asked) },
    ],
  };
}

function services({ isServed, jid, services }: RelayNodes, { from, now }: IqRequest): Element | Refusal {
  if (!isServed(from, now)) return refuse("forbidden");
  const common = { policy: "public", protocol: "udp" };
  const stun = services().filter(({ type }) => type === "stun");
  return xml(
    "services",
    { xmlns: servicesNamespace },
    xml("relay", { ...common, address: jid }),
    ...stun.map(({ host, port }) => xml("stun", { ...common, address: host, port })),
  );
}

function channel({ isServed, userOf, open }: RelayNodes, { from, now, payload }: IqRequest): Postponed | Refusal {
  if (!isServed(from, now)) return refuse("forbidden");
  const { protocol = "udp" } = payload.attrs;
  if (protocol !== "udp") return refuse("feature-not-implemented", "channels are UDP");
  return {
    postponed: (conclude) =>
      open(userOf(from), (outcome) => conclude(typeof outcome === "string" ? refusal(outcome) : written(outcome))),
  };
}

/** As the XEP throttles: the asker has enough, or there is no more. */
function refusal(why: "too-many" | "exhausted"): Refusal {
  return refuse("resource-constraint", why === "too-many" ? "close other channels first" : "no ports are left");
}

function written({ id, host, localPort, remotePort, kilobitsPerSecond, idleSeconds }: RelayChannel): Element {
  return xml("channel", {
    xmlns: channelNamespace,
    id,
    host,
    localport: localPort,
    remoteport: remotePort,
    protocol: "udp",
    maxkbps: kilobitsPerSecond,
    expire: idleSeconds,
  });
}
