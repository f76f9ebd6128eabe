// Attributes that a request must not carry unless its receiver comprehends them (RFC 8489 sections 6.3.1 and 14).

import type { Transport } from "../contract.ts";
import { attributeTable } from "../stun/attributes.ts";
import type { Message } from "../stun/message.ts";

/**
 * The comprehension-required ones that this server knows, expected or not. DONT-FRAGMENT is not among them: not every
 * plane does what that asks, nor for every client.
 */
const comprehended: ReadonlySet<number> = new Set(
  (
    [
      "mappedAddress",
      "username",
      "messageIntegrity",
      "errorCode",
      "unknownAttributes",
      "channelNumber",
      "lifetime",
      "xorPeerAddress",
      "data",
      "realm",
      "nonce",
      "xorRelayedAddress",
      "requestedAddressFamily",
      "evenPort",
      "requestedTransport",
      "messageIntegritySha256",
      "passwordAlgorithm",
      "userhash",
      "xorMappedAddress",
      "reservationToken",
      "connectionId",
    ] as const
  ).map((key) => attributeTable[key].type),
);

const firstOptional = 0x8000;
/** IP protocol number. */
const tcp = 6;

/** In a request for a TCP allocation DONT-FRAGMENT is not unknown but wrong (RFC 6062 section 5.1). */
function isComprehended(type: number, { attributes }: Message): boolean {
  return comprehended.has(type) || (type === attributeTable.dontFragment.type && attributes.requestedTransport === tcp);
}

/** Types of what some servers comprehend, by the transport that the client is on. */
export function furtherTypes({
  accessToken,
  dontFragment,
}: {
  readonly accessToken: boolean;
  readonly dontFragment: readonly Transport[];
}): (transport: Transport) => ReadonlySet<number> {
  const anywhere = accessToken ? [attributeTable.accessToken.type] : [];
  const [few, all] = [new Set(anywhere), new Set([...anywhere, attributeTable.dontFragment.type])];
  return (transport) => (dontFragment.includes(transport) ? all : few);
}

const none: ReadonlySet<number> = new Set();

/** Types to be named in UNKNOWN-ATTRIBUTES, each once. `further` are those that are comprehended here. */
export function unknownAttributes(message: Message, further: ReadonlySet<number> = none): number[] {
  const isKnown = (type: number) => isComprehended(type, message) || further.has(type);
  const unknown = message.types.filter((type) => type < firstOptional && !isKnown(type));
  return unknown.length > 1 ? [...new Set(unknown)] : unknown;
}

/** Whether an attribute that has to be comprehended has a value that cannot be. */
export function isMalformed(message: Message): boolean {
  return message.malformed.some((type) => type < firstOptional);
}
