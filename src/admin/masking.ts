// What of a person may stand in a log line: the network an address is in, and a keyed hash of a name.

import { createHmac } from "node:crypto";
import { type Endpoint, type Fact, familyOf } from "../contract.ts";
import { formatAddress, parseAddress } from "../stun/address.ts";

export type FactFields = Readonly<Record<string, unknown>>;

/** Texts of facts that say nothing about anybody. Any other text is hashed. */
const plainTexts: ReadonlySet<string> = new Set(["fact", "method", "transport", "why"]);

/** The fields of a fact, masked: `key` makes the hashes of one log comparable with each other, and with no other's. */
export function maskFact(fact: Fact, key: Uint8Array): FactFields {
  return Object.fromEntries(
    Object.entries(fact).map(([name, value]: [string, unknown]) => {
      if (isEndpoint(value)) return [name, maskAddress(value.address)];
      if (typeof value === "string" && !plainTexts.has(name)) return [name, hashOf(value, key)];
      return [name, value];
    }),
  );
}

/** The fields of a fact as they are. */
export function showFact(fact: Fact): FactFields {
  return Object.fromEntries(
    Object.entries(fact).map(([name, value]: [string, unknown]) => [
      name,
      isEndpoint(value) ? endpointText(value) : value,
    ]),
  );
}

/** The /24 of an IPv4 address, also of one written as IPv6; the /48 of any other. */
export function maskAddress(address: string): string {
  const bytes = parseAddress(address.replace(/^::ffff:(?=\d+\.)/i, ""));
  if (!bytes) return "(no address)";
  const kept = bytes.length === 4 ? 3 : 6;
  return `${formatAddress(bytes.map((byte, index) => (index < kept ? byte : 0)))}/${kept * 8}`;
}

export function endpointText({ address, port }: Endpoint): string {
  return familyOf(address) === 6 ? `[${address}]:${port}` : `${address}:${port}`;
}

function hashOf(text: string, key: Uint8Array): string {
  return createHmac("sha256", key).update(text).digest("hex").slice(0, 12);
}

function isEndpoint(value: unknown): value is Endpoint {
  return typeof value === "object" && value !== null && "address" in value && "port" in value;
}
