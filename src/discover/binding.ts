// Binding requests and what comes back, through the `stun` package: so that this is also an independent check of our
// server. It reads XOR'ed IPv6 addresses wrongly, for which our own codec stands in.

import * as stun from "stun";
import { type Endpoint, familyOf } from "../contract.ts";
import { formatAddress, parseAddress } from "../stun/address.ts";
import { attributeTable } from "../stun/attributes.ts";
import { classOfType, type MessageClass, typeOf } from "../stun/header.ts";
import { decode } from "../stun/message.ts";
import { Method } from "../stun/methods.ts";

/** What a Binding request may ask for beside the mapped address (RFC 5780 sections 7.2 and 7.5). */
export interface BindingOptions {
  readonly change?: "address-and-port" | "port";
  readonly responsePort?: number;
}

export interface BindingRequest {
  readonly transaction: string;
  readonly bytes: Uint8Array;
}

/** A message that came back. */
export interface BindingMessage {
  readonly transaction: string;
  /** Our own request, if a NAT turned it back to us. */
  readonly class: MessageClass;
  readonly mapped?: Endpoint | undefined;
  /** Where the server answers when it is asked to change address and port. */
  readonly other?: Endpoint | undefined;
}

const { changeRequest, responsePort, mappedAddress, xorMappedAddress, otherAddress } = attributeTable;
const changes = { "address-and-port": 6, port: 2 } as const;

export function writeBinding({ change, responsePort: port }: BindingOptions = {}): BindingRequest {
  const message = stun.createMessage(typeOf("request", Method.binding));
  if (change) message.addAttribute(changeRequest.type, changes[change]);
  if (port !== undefined) message.addAttribute(responsePort.type, port);
  return { transaction: textOf(message.transactionId), bytes: stun.encode(message) };
}

/** Undefined for what is not STUN. */
export function readBinding(bytes: Buffer): BindingMessage | undefined {
  const message = read(bytes);
  if (!message) return undefined;
  const xored = endpointIn(message, xorMappedAddress.type);
  const isIpv6 = xored !== undefined && familyOf(xored.address) === 6;
  return {
    transaction: textOf(message.transactionId),
    class: classOfType(message.type),
    mapped: (isIpv6 ? decode(bytes)?.attributes.xorMappedAddress : xored) ?? endpointIn(message, mappedAddress.type),
    other: endpointIn(message, otherAddress.type),
  };
}

function read(bytes: Buffer): stun.IndependentMessage | undefined {
  try {
    return stun.decode(bytes);
  } catch {
    // Its way to say that these bytes are none of its.
    return undefined;
  }
}

function endpointIn(message: stun.IndependentMessage, type: number): Endpoint | undefined {
  const value = message.getAttribute(type)?.value;
  if (typeof value !== "object" || value === null || !("address" in value) || !("port" in value)) return undefined;
  const address = parseAddress(String(value.address));
  return address && { address: formatAddress(address), port: Number(value.port) };
}

function textOf(transactionId: Buffer): string {
  return transactionId.toString("hex");
}
