// A client on a stream as the rest of a plane sees it, wherever its bytes are read and written; and how it is taken over
// from the listener that accepted it.

import type { Socket } from "node:net";
import type { Endpoint, Listener, Millis, SocketId } from "../contract.ts";
import type { StreamEnd } from "./joins.ts";

export interface ClientStream {
  readonly id: SocketId;
  readonly listener: Listener;
  readonly client: Endpoint;
  /** Relay ports that are open for it. */
  readonly relays: ReadonlySet<SocketId>;
  gain(relay: SocketId): void;
  lose(relay: SocketId): void;
  /** Harmless when the client is gone, as is all that is sent. */
  sendMedia(frame: Uint8Array): void;
  /** Answers wait before any media. Who asks on and reads no answers is hung up on. */
  sendAnswer(frame: Uint8Array): void;
  /**
   * Gives the stream away, and what came behind the last frame. An answer can still be sent in this turn of the event loop,
   * and leaves first. Undefined if it has ended before.
   */
  release(): Promise<StreamEnd | undefined>;
  hangUp(): void;
  /** Whether it has been silent for too long. */
  isOverdue(now: Millis): boolean;
}

/** A stream that nobody reads or writes yet. Over TLS, as its listener says, its handshake is still to come. */
export interface Arrival {
  readonly listener: Listener;
  readonly client: Endpoint;
  readonly socket: Socket;
  /** It is a connection from here on: over TLS, once its handshake is over. False if there are too many; then it is hung up. */
  readonly opened: (stream: ClientStream) => boolean;
  /** It is gone. Once, whether or not it was `opened`. */
  readonly closed: (stream: ClientStream) => void;
}

/** Goes on with it elsewhere, and says so. What has been buffered of it goes along, and the socket is closed here. */
export type Adopt = (arrival: Arrival) => boolean;
