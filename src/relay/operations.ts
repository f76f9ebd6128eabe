// What the operator's console works on: the media, with credentials for it and a memory of calls.

import { maskAddress } from "../admin/masking.ts";
import { version } from "../cli/version.ts";
import { type DropReason, endpointText, type Traffic, type Usage } from "../contract.ts";
import { formatAddress } from "../stun/address.ts";
import { parseCidr } from "../turn/cidr.ts";
import type { AllocationView } from "../turn/orders.ts";
import type { CallHistories } from "../xmpp/console/call-histories.ts";
import type { LiveAllocation, Operations } from "../xmpp/console/operations.ts";
import { bytesText, durationText } from "../xmpp/console/words.ts";
import type { Lines } from "../xmpp/xep0004-data-forms.ts";
import type { IssuedCredential } from "../xmpp/xep0215-external-services.ts";
import type { Bytestreams } from "./bytestreams.ts";
import type { Media } from "./media.ts";

export interface OperationsOptions {
  readonly media: Media;
  readonly histories: CallHistories;
  /** Where TURN is to be had, or STUN. */
  readonly uris: () => readonly string[];
  readonly mint: (user: string, lifetimeSeconds: number) => IssuedCredential;
  readonly drain: () => void;
}

/** Nobody bans more than this at once by a slip of the keyboard: a /8 of IPv4, a /16 of IPv6. */
const shortestPrefix = { 4: 8, 16: 16 } as const;

const nothing: Traffic = { packets: 0, bytes: 0 };

export function operationsOn({ media, histories, uris, mint, drain }: OperationsOptions): Operations {
  const { operator } = media;
  const allocations = () => operator.allocations().map((view) => liveAllocation(view, media));
  const has = (id: number) => allocations().some((allocation) => allocation.id === id);
  return {
    status: () => status(media),
    allocations,
    close(id) {
      const wasThere = has(id);
      operator.order({ order: "close", relay: id });
      return wasThere && !has(id);
    },
    transfers: () => media.bytestreams?.streams() ?? [],
    bans: () => operator.bans(),
    ban(whom, until) {
      operator.order({ order: "ban", whom, until });
      const name = JSON.stringify(whom);
      return operator.bans().some((ban) => JSON.stringify(ban.whom) === name && ban.until === until);
    },
    lift: (whom) => operator.order({ order: "lift", whom }),
    credentials: (user, lifetimeSeconds) => ({ ...mint(user, lifetimeSeconds), uris: uris() }),
    // It closes the stream that the answer is still to go by.
    drain: () => void setImmediate(drain),
    history: (user) => histories.of(user),
    readNetwork,
    mask: maskAddress,
  };
}

function liveAllocation({ ports, ...view }: AllocationView, { plane }: Media): LiveAllocation {
  const usages = ports.map(({ relay }) => plane.usage(relay)).filter((usage) => usage !== undefined);
  const id = Math.min(...ports.map(({ relay }) => relay));
  return { ...view, id, relayed: ports.map(({ relayed }) => relayed), usage: total(usages) };
}

function total(usages: readonly Usage[]): Usage {
  const sum = (direction: keyof Usage) =>
    usages.reduce(
      ({ packets, bytes }, usage) => ({
        packets: packets + usage[direction].packets,
        bytes: bytes + usage[direction].bytes,
      }),
      nothing,
    );
  return { toPeer: sum("toPeer"), toClient: sum("toClient") };
}

function status({ plane, listeners, operator, bytestreams }: Media): Lines {
  const { relayed, dropped, relays, connections } = plane.counters();
  const bytes = (direction: "to-peer" | "to-client") =>
    relayed.filter((each) => each.direction === direction).reduce((sum, each) => sum + each.bytes, 0);
  const drops = Object.entries(dropped).filter((entry): entry is [DropReason, number] => entry[1] > 0);
  const transfers = bytestreams?.load();
  return [
    ["Version", version()],
    ["Running for", durationText(performance.now())],
    ["Dataplane", plane.name],
    ["Listening", listeners.map(({ transport, at }) => `${transport} ${endpointText(at)}`).join("\n")],
    ["Allocations", String(operator.allocations().length)],
    ["Relay ports", String(relays)],
    ["Stream connections", String(connections)],
    ["Relayed to peers", bytesText(bytes("to-peer"))],
    ["Relayed to clients", bytesText(bytes("to-client"))],
    ...(transfers ? [["File transfers", transfersText(transfers)] as const] : []),
    ["Packets dropped", drops.map(([reason, packets]) => `${reason}: ${packets}`).join("\n") || "none"],
    ["Bans", String(operator.bans().length)],
  ];
}

function transfersText({ open, waiting, bytes }: ReturnType<Bytestreams["load"]>): string {
  return `${open} open, ${waiting} connections that wait, ${bytesText(bytes)} carried`;
}

function readNetwork(typed: string): string | undefined {
  const cidr = parseCidr(typed.trim());
  if (!cidr) return undefined;
  const isBounded = cidr.bits >= (cidr.prefix.length === 4 ? shortestPrefix[4] : shortestPrefix[16]);
  return isBounded ? `${formatAddress(cidr.prefix)}/${cidr.bits}` : undefined;
}
