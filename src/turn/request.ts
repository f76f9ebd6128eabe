// A request or indication on its way through the server, and what comes of it (RFC 8489 section 6.3).

import type { Action, Endpoint, Listener, Millis, SocketId } from "../contract.ts";
import type { Attributes } from "../stun/attributes.ts";
import type { ErrorCode } from "../stun/error-codes.ts";
import { asBuffer } from "../stun/header.ts";
import type { IntegrityAlgorithm } from "../stun/integrity.ts";
import type { Message } from "../stun/message.ts";
import type { Credential } from "./credentials.ts";

/** The path between a client and the server (RFC 8656 section 2). The listener stands for our end of it. */
export interface FiveTuple {
  readonly on: Listener;
  readonly via: SocketId;
  readonly from: Endpoint;
  /** The same text for the same path. */
  readonly key: string;
}

export interface Request {
  readonly now: Millis;
  readonly tuple: FiveTuple;
  readonly message: Message;
  readonly bytes: Uint8Array;
}

export interface Identity {
  /** Whose allocations it may touch. */
  readonly username: string;
  readonly credential: Credential;
  readonly key: Uint8Array;
  /** What protects answers. */
  readonly integrity: IntegrityAlgorithm;
}

export interface AuthenticRequest extends Request {
  readonly identity: Identity;
}

export interface Grant {
  readonly granted: Attributes;
  /** Done before the client hears of it. */
  readonly actions: readonly Action[];
  /** Told the answer's bytes where a retransmission of the request could not have it made again. */
  readonly keep?: (answer: Uint8Array) => void;
  /** Where the answer does not go back the way that the request came. */
  readonly way?: { readonly via: SocketId; readonly to: Endpoint };
}

export interface Refusal {
  readonly refused: ErrorCode;
  readonly attributes: Attributes;
  /** Who asked, where that is known and yet the request is to be sent again. */
  readonly by?: Identity;
  /** The name that was given without proof. */
  readonly claimed?: string | undefined;
}

/** The answer that the same transaction had before, byte for byte (RFC 8489 section 6.3.1). */
export interface Replay {
  readonly replayed: Uint8Array;
}

/** No answer yet: it comes when the relay port does. */
export interface Postponement {
  readonly postponed: readonly Action[];
}

export type Outcome = Grant | Refusal | Replay | Postponement;

export function fiveTuple(on: Listener, via: SocketId, from: Endpoint): FiveTuple {
  const key = on.transport === "udp" ? `${via} ${from.address} ${from.port}` : connectionKey(via);
  return { on, via, from, key };
}

/** Which alone can carry streams to peers. */
export function isOnStream({ on }: FiveTuple): boolean {
  return on.transport === "tcp" || on.transport === "tls";
}

/**
 * A stream connection or DTLS session has one client, so its socket says it all. Socket ids name listeners and connections
 * alike.
 */
export function connectionKey(via: SocketId): string {
  return `${via}`;
}

export function grant(attributes: Attributes = {}, actions: readonly Action[] = []): Grant {
  return { granted: attributes, actions };
}

export function refuse(code: ErrorCode, attributes: Attributes = {}): Refusal {
  return { refused: code, attributes };
}

/** A transaction id as a key. Keeps no hold on the message's bytes. */
export function transactionOf(message: Message): string {
  return asBuffer(message.transactionId).toString("latin1");
}
