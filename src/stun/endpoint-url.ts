// Where something listens, as text: SCHEME://ADDRESS:PORT, an IPv6 address in brackets.

import { type Endpoint, familyOf } from "../contract.ts";
import { formatAddress, parseAddress } from "./address.ts";

export interface EndpointUrl {
  readonly scheme: string;
  readonly at: Endpoint;
}

/** Undefined for any other text. Names are no addresses. */
export function parseEndpointUrl(text: string): EndpointUrl | undefined {
  const { scheme, v6, v4, port } =
    /^(?<scheme>\w+):\/\/(?:\[(?<v6>[^\]]*)\]|(?<v4>[^:]*)):(?<port>\d{1,5})\/?$/.exec(text)?.groups ?? {};
  const address = readAddress(v6 ?? v4 ?? "");
  const isBracketed = v6 !== undefined;
  if (!scheme || !address || isBracketed !== (familyOf(address) === 6) || Number(port) > 65_535) return undefined;
  return { scheme, at: { address, port: Number(port) } };
}

/** The one text that endpoints compare by; undefined for what is no address. */
export function readAddress(text: string): string | undefined {
  const bytes = parseAddress(text);
  return bytes && formatAddress(bytes);
}
