// Which relay port comes next: random within the range (RFC 8656 section 7.2), and none tried twice in vain.

import { type Family, familyOf, type Millis, type PlaneOptions, type RelayAddress } from "../contract.ts";

export interface RelayPort {
  readonly address: RelayAddress;
  readonly port: number;
}

/** Ports of another program may come free, so they are tried again; seldom enough that a full range costs nothing. */
export const retryTakenMillis = 10_000;

/** The free ports of one family. Drawing is without replacement, so a range that is nearly full is no slower. */
export class RelayPorts {
  readonly #addresses: readonly RelayAddress[];
  readonly #first: number;
  readonly #span: number;
  readonly #randomBelow: (below: number) => number;
  /** A place is an address and a port in one number. The first `#free` are to be had, in no order. */
  readonly #places: Uint32Array;
  #free: number;
  #taken: number[] = [];
  #takenSince: Millis = 0;

  constructor(
    addresses: readonly RelayAddress[],
    [first, last]: readonly [number, number],
    randomBelow: (below: number) => number,
  ) {
    this.#addresses = addresses;
    this.#first = first;
    this.#span = last - first + 1;
    this.#randomBelow = randomBelow;
    this.#places = Uint32Array.from({ length: addresses.length * this.#span }, (_, place) => place);
    this.#free = this.#places.length;
  }

  /** How many there are, free or not. */
  get size(): number {
    return this.#places.length;
  }

  /** Gives each of the free ports with the same chance. Undefined when there is none. */
  draw(now: Millis): RelayPort | undefined {
    if (this.#taken.length > 0 && now - this.#takenSince >= retryTakenMillis) this.#retryTaken();
    if (this.#free === 0) return undefined;
    const at = this.#randomBelow(this.#free);
    const place = this.#places[at] ?? 0;
    this.#free -= 1;
    this.#places[at] = this.#places[this.#free] ?? 0;
    const address = this.#addresses[Math.floor(place / this.#span)];
    return address && { address, port: this.#first + (place % this.#span) };
  }

  /** The port is free again. */
  release(drawn: RelayPort): void {
    this.#put(this.#placeOf(drawn));
  }

  /** Another program has the port. */
  setAside(drawn: RelayPort, now: Millis): void {
    if (this.#taken.length === 0) this.#takenSince = now;
    this.#taken.push(this.#placeOf(drawn));
  }

  #retryTaken(): void {
    for (const place of this.#taken) this.#put(place);
    this.#taken = [];
  }

  #put(place: number): void {
    this.#places[this.#free] = place;
    this.#free += 1;
  }

  #placeOf({ address, port }: RelayPort): number {
    return this.#addresses.indexOf(address) * this.#span + port - this.#first;
  }
}

export type RelayPortsByFamily = ReadonlyMap<Family, RelayPorts>;

/** Only families that have an address. */
export function relayPortsByFamily({ relayAddresses, relayPorts, randomBelow }: PlaneOptions): RelayPortsByFamily {
  const byFamily = ([4, 6] as const).map((family) => {
    const addresses = relayAddresses.filter(({ bind }) => familyOf(bind) === family);
    return [family, new RelayPorts(addresses, relayPorts, randomBelow)] as const;
  });
  return new Map(byFamily.filter(([, ports]) => ports.size > 0));
}
