// TLS that is not for us, passed on to who it is for: bytes both ways, no faster than the slower end takes them, and each
// direction ends by itself.

import { connect, type Socket } from "node:net";
import type { Millis } from "../contract.ts";
import { endTogether } from "./joins.ts";

export interface Backend {
  readonly host: string;
  readonly port: number;
}

export interface SpliceLimits {
  readonly splices: number;
  readonly idleMillis: Millis;
}

interface Progress {
  readonly bytes: number;
  readonly since: Millis;
}

export class Splices {
  readonly #limits: SpliceLimits;
  readonly #open = new Map<Socket, Progress>();

  constructor(limits: SpliceLimits) {
    this.#limits = limits;
  }

  /** What `client` has buffered and will send goes to `backend`. Calls `connected` when it takes it. */
  open(client: Socket, backend: Backend, now: Millis, connected: () => void): void {
    if (this.#open.size >= this.#limits.splices) {
      client.destroy();
      return;
    }
    this.#open.set(client, { bytes: 0, since: now });
    client.once("close", () => this.#open.delete(client));
    client.allowHalfOpen = true;
    const server = connect({ ...backend, allowHalfOpen: true, noDelay: true }, connected);
    server.on("error", () => {});
    endTogether(client, server);
    endTogether(server, client);
    client.pipe(server).pipe(client);
  }

  /** Ends what has been silent in both directions for too long. */
  sweep(now: Millis): void {
    for (const [client, { bytes, since }] of this.#open) {
      const soFar = client.bytesRead + client.bytesWritten;
      if (soFar !== bytes) this.#open.set(client, { bytes: soFar, since: now });
      else if (now - since >= this.#limits.idleMillis) client.destroy();
    }
  }

  close(): void {
    for (const client of this.#open.keys()) client.destroy();
  }
}
