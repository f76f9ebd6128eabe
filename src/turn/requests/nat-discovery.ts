// Binding where there are two addresses with two ports each, so that a client can find out how its NAT behaves (RFC
// 5780 section 6; RFC 3489 section 8.1 for clients without a magic cookie). An answer may leave by another listener than
// the request came to, and go to another port of the client's address, but never to another address.

import type { Endpoint, SocketId } from "../../contract.ts";
import { type Attributes, attributeTable } from "../../stun/attributes.ts";
import type { ChangeRequest } from "../../stun/codecs.ts";
import { type Outcome, type Request, refuse } from "../request.ts";
import { isMalformed, unknownAttributes } from "../unknown-attributes.ts";

/** A UDP listener, and where clients reach it. */
export interface Corner {
  readonly socket: SocketId;
  readonly at: Endpoint;
}

/** Seen from the first: itself, the other port, the other address, and both. */
export type Square = readonly [same: Corner, otherPort: Corner, otherAddress: Corner, other: Corner];

/** How a square looks from each of its corners. */
export function viewsOf([a, b, c, d]: Square): [SocketId, Square][] {
  return [
    [a.socket, [a, b, c, d]],
    [b.socket, [b, a, d, c]],
    [c.socket, [c, d, a, b]],
    [d.socket, [d, c, b, a]],
  ];
}

/** `view` is the square from the listener that the request came to. */
export function natDiscovery({ message, tuple }: Request, view: Square): Outcome {
  const comprehended = message.classic ? classicTypes : types;
  const unknown = unknownAttributes(message).filter((type) => !comprehended.has(type));
  if (unknown.length > 0) return refuse(420, { unknownAttributes: unknown });
  if (isMalformed(message)) return refuse(400);

  const { changeRequest, responsePort: port = tuple.from.port, padding } = message.attributes;
  if (padding && message.attributes.responsePort !== undefined) return refuse(400);
  // Nobody can be reached there.
  if (port === 0) return refuse(400);

  const origin = originOf(view, changeRequest);
  const [, , , other] = view;
  const granted: Attributes = message.classic
    ? { mappedAddress: tuple.from, sourceAddress: origin.at, changedAddress: other.at }
    : {
        mappedAddress: tuple.from,
        xorMappedAddress: tuple.from,
        padding: padding && paddingFor(padding),
        responseOrigin: origin.at,
        otherAddress: other.at,
      };
  return { granted, actions: [], way: { via: origin.socket, to: { address: tuple.from.address, port } } };
}

const classicTypes: ReadonlySet<number> = new Set([attributeTable.changeRequest.type]);
const types: ReadonlySet<number> = new Set(
  (["changeRequest", "padding", "responsePort"] as const).map((key) => attributeTable[key].type),
);

/** Table 1. */
function originOf([same, otherPort, otherAddress, other]: Square, change: ChangeRequest | undefined): Corner {
  if (change?.changesAddress) return change.changesPort ? other : otherAddress;
  return change?.changesPort ? otherPort : same;
}

/** What the four addresses of an answer take, at the most. */
const addressBytes = 4 * 24;

/**
 * The RFC would have it as long as our MTU. We send no more than came: enough that an answer is cut into fragments
 * where the request was, and too little to be of use to whoever sends in another's name.
 */
function paddingFor(padding: Uint8Array): Uint8Array {
  return new Uint8Array(Math.max(0, padding.length - addressBytes));
}
