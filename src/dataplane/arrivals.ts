// Sockets on their way to being a connection: before it is known whose or what they are, or within a TLS handshake. They
// are few and have little time. When there are too many, the one that has been here longest makes room: a flood pushes
// out itself, and who is quick gets through it.

import type { Socket } from "node:net";
import type { Millis } from "../contract.ts";

export interface ArrivalLimits {
  readonly arrivals: number;
  readonly arrivalMillis: Millis;
}

export class Arrivals {
  readonly #limits: ArrivalLimits;
  /** The oldest first. */
  readonly #since = new Map<Socket, Millis>();

  constructor(limits: ArrivalLimits) {
    this.#limits = limits;
  }

  /** Once for each, however much lies before it. */
  begin(socket: Socket, now: Millis): void {
    if (this.#since.has(socket)) return;
    if (this.#since.size >= this.#limits.arrivals) {
      const [oldest] = this.#since.keys();
      oldest?.destroy();
    }
    this.#since.set(socket, now);
    socket.once("close", () => this.end(socket));
  }

  /** It is a connection, or gone. */
  end(socket: Socket): void {
    this.#since.delete(socket);
  }

  sweep(now: Millis): void {
    for (const [socket, since] of this.#since) {
      if (now - since < this.#limits.arrivalMillis) return;
      socket.destroy();
    }
  }

  close(): void {
    for (const socket of this.#since.keys()) socket.destroy();
  }
}
