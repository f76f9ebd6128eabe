// Transactions over UDP: a request is sent until something comes back under its id, on whichever port (RFC 8489 section
// 6.2.1). Nothing coming back is a finding, too.

import type { Endpoint, Millis } from "../contract.ts";
import { type BindingMessage, type BindingOptions, readBinding, writeBinding } from "./binding.ts";

/** A bound UDP port. A packet that cannot be sent counts as lost. */
export interface Port {
  readonly local: Endpoint;
  send(bytes: Uint8Array, to: Endpoint): void;
  /** Resolves when nothing comes any more. */
  close(): Promise<void>;
}

export type OpenPort = (receive: (bytes: Buffer, from: Endpoint) => void) => Promise<Port>;

/** Resolves after that time, or rejects as soon as the signal says that nobody waits any more. */
export type Sleep = (millis: Millis, signal?: AbortSignal) => Promise<unknown>;

export interface Echo extends BindingMessage {
  /** Where it came in. */
  readonly at: Port;
  readonly from: Endpoint;
}

/** How often a request is sent, and how long the last one is waited for. */
export interface Patience {
  readonly requests: number;
  /** In RTOs. */
  readonly lastWait: number;
}

/** Rc and Rm of RFC 8489: 39.5 seconds. */
const patient: Patience = { requests: 7, lastWait: 16 };

/** For where silence is an answer, and the way to the server is known to be open: 5.5 seconds. */
export const brisk: Patience = { requests: 4, lastWait: 4 };

const rtoMillis = 500;

export class Prober {
  readonly #open: OpenPort;
  readonly #sleep: Sleep;
  readonly #ports = new Set<Port>();
  readonly #pending = new Map<string, (echo: Echo) => void>();

  constructor(open: OpenPort, sleep: Sleep) {
    this.#open = open;
    this.#sleep = sleep;
  }

  /** A port that nothing has been sent from. */
  async open(): Promise<Port> {
    const port = await this.#open((bytes, from) => this.#receive(port, bytes, from));
    this.#ports.add(port);
    return port;
  }

  /** What comes back first, or undefined when nothing does. */
  async ask(port: Port, to: Endpoint, options: BindingOptions = {}, patience = patient): Promise<Echo | undefined> {
    const { transaction, bytes } = writeBinding(options);
    const echo = new Promise<Echo>((resolve) => this.#pending.set(transaction, resolve));
    const over = new AbortController();
    try {
      return await Promise.race([echo, this.#repeat(() => port.send(bytes, to), patience, over.signal)]);
    } finally {
      over.abort();
      this.#pending.delete(transaction);
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#ports].map((port) => port.close()));
  }

  async #repeat(send: () => void, { requests, lastWait }: Patience, over: AbortSignal): Promise<undefined> {
    for (let sent = 1; sent <= requests; sent += 1) {
      send();
      await this.#sleep(rtoMillis * (sent === requests ? lastWait : 2 ** (sent - 1)), over);
    }
  }

  #receive(at: Port, bytes: Buffer, from: Endpoint): void {
    const message = readBinding(bytes);
    if (message) this.#pending.get(message.transaction)?.({ ...message, at, from });
  }
}
