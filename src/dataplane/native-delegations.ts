// The relay ports that the native plane leaves to the portable one inside it. Packets of ours for them cross over to it.

import type { Endpoint, SocketId } from "../contract.ts";
import { owner } from "./native-addon.ts";
import type { NativeRelays } from "./native-relays.ts";

export class Delegations {
  readonly #relays: NativeRelays;
  /** Where they are, as peers see it, once they are open. */
  readonly #delegated = new Map<SocketId, Endpoint | undefined>();

  constructor(relays: NativeRelays) {
    this.#relays = relays;
  }

  has(relay: SocketId): boolean {
    return this.#delegated.has(relay);
  }

  /** It will be the portable plane's. */
  add(relay: SocketId): void {
    this.#delegated.set(relay, undefined);
  }

  opened(relay: SocketId, at: Endpoint): void {
    if (!this.has(relay)) return;
    this.#delegated.set(relay, at);
    this.#relays.setOwner(at, owner.otherPlane);
  }

  remove(relay: SocketId): void {
    const at = this.#delegated.get(relay);
    if (at) this.#relays.setOwner(at, owner.nobody);
    this.#delegated.delete(relay);
  }
}
