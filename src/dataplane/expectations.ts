// Clients whose ChannelData goes up where no route takes it: `expect` in the contract.

import type { Endpoint, Millis, SocketId } from "../contract.ts";

export class Expectations {
  readonly #ends = new Map<string, Millis>();

  expect(via: SocketId, from: Endpoint, until: Millis): void {
    const client = keyOf(via, from);
    if (until > 0) this.#ends.set(client, until);
    else this.#ends.delete(client);
  }

  has(via: SocketId, from: Endpoint, now: Millis): boolean {
    return this.#ends.size > 0 && now < (this.#ends.get(keyOf(via, from)) ?? 0);
  }

  expire(now: Millis): void {
    for (const [client, until] of this.#ends) if (until <= now) this.#ends.delete(client);
  }
}

function keyOf(via: SocketId, { address, port }: Endpoint): string {
  return `${via} ${address} ${port}`;
}
