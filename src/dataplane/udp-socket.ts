// One bound UDP socket of node:dgram, with what a relay needs of it: no name lookups, no exceptions, no unbounded queue.

import { createSocket, type Socket } from "node:dgram";
import { type Endpoint, familyOf } from "../contract.ts";
import { canonicalAddress, receivedAddress } from "./endpoint.ts";

/** Packets that may wait for the kernel; more would be old when they leave. */
const longestQueue = 256;

export interface UdpSocketOptions {
  readonly at: Endpoint;
  /** What to ask of the kernel for each direction; it may grant less. */
  readonly bufferBytes: number;
  readonly receive: (bytes: Uint8Array, from: Endpoint) => void;
  /** A packet could not be sent, or the socket reported an error. */
  readonly lost: () => void;
}

/** Rejects with the system's error, its `code` as it is. */
export function bindUdp(options: UdpSocketOptions): Promise<UdpSocket> {
  const { address, port } = options.at;
  const isIpv6 = familyOf(address) === 6;
  // Node would send every packet by way of its resolver, which waits a turn even for an address.
  const socket = createSocket({
    type: isIpv6 ? "udp6" : "udp4",
    ipv6Only: isIpv6,
    lookup: (name, _options, found) => found(null, name, isIpv6 ? 6 : 4),
  });
  return new Promise((resolve, reject) => {
    socket.once("error", (error) => {
      socket.close();
      reject(error);
    });
    socket.bind({ address, port, exclusive: true }, () => resolve(new UdpSocket(socket, options)));
  });
}

export class UdpSocket {
  readonly at: Endpoint;
  readonly #socket: Socket;
  readonly #lost: () => void;
  readonly #sent: (error: Error | null) => void;
  #isOpen = true;

  constructor(socket: Socket, { bufferBytes, receive, lost }: UdpSocketOptions) {
    const { address, port } = socket.address();
    this.at = { address: canonicalAddress(address), port };
    this.#socket = socket;
    this.#lost = lost;
    this.#sent = (error) => {
      if (error && this.#isOpen) lost();
    };
    socket.removeAllListeners("error").on("error", lost);
    socket.on("message", (bytes, from) => receive(bytes, { address: receivedAddress(from.address), port: from.port }));
    enlarge(() => socket.setRecvBufferSize(bufferBytes));
    enlarge(() => socket.setSendBufferSize(bufferBytes));
  }

  /** Sends now, or loses the packet: it never throws, and nothing piles up. Nobody can be reached at port 0. */
  send(bytes: Uint8Array, to: Endpoint): void {
    if (!this.#isOpen) return;
    if (to.port === 0 || this.#socket.getSendQueueCount() >= longestQueue) this.#lost();
    else this.#socket.send(bytes, to.port, to.address, this.#sent);
  }

  /** Resolves when the port is free again. */
  close(): Promise<void> {
    if (!this.#isOpen) return Promise.resolve();
    this.#isOpen = false;
    return new Promise((resolve) => this.#socket.close(resolve));
  }
}

/** A system that grants no larger buffer serves with the one it has. */
function enlarge(ask: () => void): void {
  try {
    ask();
  } catch {
    // Node's one answer to any refusal; there is nothing to fall back to.
  }
}
