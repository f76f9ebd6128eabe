// What of a person may stand in a log line: the network an address is in, and a keyed hash of a name.

import { createHmac } from "node:crypto";
import { type Endpoint, endpointText } from "../contract.ts";
import { formatAddress, parseAddress } from "../stun/address.ts";

/** A fact of whichever room. */
export interface AnyFact {
  readonly fact: string;
  readonly [field: string]: unknown;
}

export type FactFields = Readonly<Record<string, unknown>>;

/** Texts of facts that say nothing about a client, a peer or a user. Any other text is hashed. */
const plainTexts: ReadonlySet<string> = new Set([
  "method",
  "transport",
  "why",
  "what",
  "condition",
  "outcome",
  "state",
  "reason",
  "advice",
  "host",
  "domain",
  "namespaces",
]);

/** The fields of a fact but its name, masked: `key` makes hashes comparable within one log, and with no other's. */
export function maskFact(fact: AnyFact, key: Uint8Array): FactFields {
  return fieldsOf(fact, (name, value) => {
    if (isEndpoint(value)) return maskAddress(value.address);
    if (value instanceof Error) return framesOf(value);
    const isTelling = typeof value === "string" || Array.isArray(value);
    return isTelling && !plainTexts.has(name) ? hashOf(String(value), key) : value;
  });
}

/** The fields of a fact but its name, as they are. */
export function showFact(fact: AnyFact): FactFields {
  return fieldsOf(fact, (_, value) => {
    if (isEndpoint(value)) return endpointText(value);
    return value instanceof Error ? value.stack : value;
  });
}

function fieldsOf({ fact: _, ...fields }: AnyFact, show: (name: string, value: unknown) => unknown): FactFields {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, show(name, value)]));
}

/** The /24 of an IPv4 address, also of one written as IPv6; the /48 of any other. */
export function maskAddress(address: string): string {
  const bytes = parseAddress(address.replace(/^::ffff:(?=\d+\.)/i, ""));
  if (!bytes) return "(no address)";
  const kept = bytes.length === 4 ? 3 : 6;
  return `${formatAddress(bytes.map((byte, index) => (index < kept ? byte : 0)))}/${kept * 8}`;
}

function hashOf(text: string, key: Uint8Array): string {
  return createHmac("sha256", key).update(text).digest("hex").slice(0, 12);
}

/** Where it happened, without the message, which may quote what came. */
function framesOf(error: Error): string {
  const frames = error.stack?.split("\n").filter((line) => /^ +at /.test(line)) ?? [];
  return [error.name, ...frames].join("\n");
}

function isEndpoint(value: unknown): value is Endpoint {
  return typeof value === "object" && value !== null && "address" in value && "port" in value;
}
