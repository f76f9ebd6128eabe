// Ranges of IP addresses in CIDR notation (RFC 4632, RFC 4291 section 2.3).

import assert from "node:assert";
import { parseAddress } from "../stun/address.ts";

export interface Cidr {
  /** 4 or 16 bytes. */
  readonly prefix: Uint8Array;
  readonly bits: number;
}

/** `192.0.2.0/24`, `2001:db8::/32`, or one address. Strict: undefined when bits are set beyond the prefix. */
export function parseCidr(text: string): Cidr | undefined {
  const [address = "", length, ...rest] = text.split("/");
  const prefix = parseAddress(address);
  if (!prefix || rest.length > 0) return undefined;
  if (length === undefined) return { prefix, bits: prefix.length * 8 };
  if (!/^(0|[1-9][0-9]{0,2})$/.test(length) || Number(length) > prefix.length * 8) return undefined;
  const cidr = { prefix, bits: Number(length) };
  return prefix.every((byte, i) => (byte & maskOf(cidr, i)) === byte) ? cidr : undefined;
}

/** Of a text that was read before, and found to be one. */
export function cidrOf(text: string): Cidr {
  const cidr = parseCidr(text);
  assert(cidr, `not a CIDR range: ${text}`);
  return cidr;
}

/** Whether the 4 or 16 bytes of an address lie in the range. An IPv4 address lies in no IPv6 range. */
export function contains(cidr: Cidr, address: Uint8Array): boolean {
  if (address.length !== cidr.prefix.length) return false;
  for (let i = 0; i * 8 < cidr.bits; i++) {
    if (((address[i] ?? 0) & maskOf(cidr, i)) !== cidr.prefix[i]) return false;
  }
  return true;
}

/** Which bits of byte `i` belong to the prefix. */
function maskOf(cidr: Cidr, i: number): number {
  const bits = Math.min(8, Math.max(0, cidr.bits - i * 8));
  return (0xff00 >> bits) & 0xff;
}
