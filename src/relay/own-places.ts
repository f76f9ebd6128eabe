// Where this relay itself is: clients are not relayed there, and no other relay is named that is this one. It changes
// with the external address, and the one before counts on, for allocations keep what they have.

import { type Endpoint, isSameEndpoint, type Listener, type RelayAddress } from "../contract.ts";
import { type PeerPolicy, type PeerPolicyOptions, peerPolicy } from "../turn/peer-policy.ts";
import { endpointsOf } from "./doors.ts";

/** What of the policy the operator may change while we run. */
export type PeerLists = Partial<Pick<PeerPolicyOptions, "allow" | "deny" | "denyPorts">>;

export interface OwnPlacesOptions extends Pick<PeerPolicyOptions, "allow" | "deny" | "denyPorts" | "loopback"> {
  readonly listeners: readonly Listener[];
  /** Beside where the listeners are. */
  readonly further: readonly Endpoint[];
  readonly relayAddresses: readonly RelayAddress[];
  readonly machineAddresses: () => readonly string[];
}

export class OwnPlaces implements PeerPolicy {
  #options: OwnPlacesOptions;
  #relayAddresses: readonly RelayAddress[] = [];
  #places: readonly Endpoint[] = [];
  #policy: PeerPolicy;

  constructor(options: OwnPlacesOptions) {
    this.#options = options;
    this.#policy = this.#judge();
  }

  mayPermit(address: string, port?: number): boolean {
    return this.#policy.mayPermit(address, port);
  }

  mayReach(peer: Endpoint): boolean {
    return this.#policy.mayReach(peer);
  }

  isOurs(at: Endpoint): boolean {
    return this.#places.some((place) => isSameEndpoint(place, at));
  }

  /** To be called when an external address is another, or when the operator's lists are. */
  renew(lists: PeerLists = {}): void {
    this.#options = { ...this.#options, ...lists };
    this.#policy = this.#judge();
  }

  #judge(): PeerPolicy {
    const { listeners, further, machineAddresses, ...rules } = this.#options;
    const current = rules.relayAddresses.map(({ bind, external }) =>
      external === undefined ? { bind } : { bind, external },
    );
    const relayAddresses = [...current, ...this.#relayAddresses];
    this.#relayAddresses = current;
    const machine = machineAddresses();
    this.#places = [...listeners.flatMap((listener) => endpointsOf(listener, relayAddresses, machine)), ...further];
    return peerPolicy({
      ...rules,
      listeners: this.#places,
      relayAddresses: relayAddresses.flatMap(({ bind, external = bind }) => [bind, external]),
    });
  }
}
