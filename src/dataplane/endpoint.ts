// Endpoints as Node names them, made canonical: the same peer is the same text wherever it is compared.

import { formatAddress, parseAddress } from "../stun/address.ts";

/** Without zone, an IPv4 address in IPv6 clothes (::ffff:0:0/96) as IPv4, anything else as RFC 5952 has it. */
export function canonicalAddress(text: string): string {
  const bytes = parseAddress(text.split("%", 1)[0] ?? "");
  if (!bytes) return text;
  const address = formatAddress(bytes);
  return address.startsWith("::ffff:") && address.includes(".") ? address.slice("::ffff:".length) : address;
}

/** The same for what the system's own inet_ntop wrote, most of which needs no work: this is called for every packet. */
export function receivedAddress(text: string): string {
  const isCanonical = !text.includes(":") || !(text.includes(".") || text.includes("%"));
  return isCanonical ? text : canonicalAddress(text);
}
