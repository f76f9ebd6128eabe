// Whom the operator will not have for a while: users, and clients at a network. They are told nothing about it but 403.

import type { Banned, Millis } from "../contract.ts";
import { parseAddress } from "../stun/address.ts";
import { type Cidr, cidrOf, contains } from "./cidr.ts";

export interface Ban {
  readonly whom: Banned;
  readonly until: Millis;
}

/** Every datagram is held against every network, so they are few. */
const bansAtMost = 256;

export class Bans {
  readonly #users = new Map<string, Ban>();
  readonly #networks = new Map<string, Ban & { readonly range: Cidr }>();

  /** A network is CIDR that has been read before. False where there are too many already. */
  add(whom: Banned, until: Millis, now: Millis): boolean {
    this.#forget(now);
    const isFull = this.#users.size + this.#networks.size >= bansAtMost;
    if ("user" in whom) {
      if (isFull && !this.#users.has(whom.user)) return false;
      this.#users.set(whom.user, { whom, until });
    } else {
      if (isFull && !this.#networks.has(whom.network)) return false;
      this.#networks.set(whom.network, { whom, until, range: cidrOf(whom.network) });
    }
    return true;
  }

  lift(whom: Banned): void {
    if ("user" in whom) this.#users.delete(whom.user);
    else this.#networks.delete(whom.network);
  }

  /** Those that hold, the next one to end first. */
  list(now: Millis): Ban[] {
    const all = [...this.#users.values(), ...this.#networks.values()].filter(({ until }) => until > now);
    return all.map(({ whom, until }) => ({ whom, until })).sort((one, other) => one.until - other.until);
  }

  /** When the last ban of a network ends; 0 if there is none. */
  networksUntil(): Millis {
    return Math.max(0, ...[...this.#networks.values()].map(({ until }) => until));
  }

  holdsUser(user: string, now: Millis): boolean {
    return (this.#users.get(user)?.until ?? 0) > now;
  }

  /** Whether a client could be meant. */
  holdNetworks(now: Millis): boolean {
    return [...this.#networks.values()].some(({ until }) => until > now);
  }

  holdsClient(address: string, now: Millis): boolean {
    if (this.#networks.size === 0) return false;
    const bytes = parseAddress(address);
    return (
      bytes !== undefined &&
      [...this.#networks.values()].some(({ range, until }) => until > now && contains(range, bytes))
    );
  }

  #forget(now: Millis): void {
    for (const bans of [this.#users, this.#networks]) {
      for (const [name, { until }] of bans) if (until <= now) bans.delete(name);
    }
  }
}
