// Which relay port comes next: random within the range (RFC 8656 section 7.2), and none tried twice in vain.

import {
  type Family,
  familyOf,
  type Millis,
  type PlaneOptions,
  type RelayAddress,
  type RelayPortWish,
} from "../contract.ts";

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
  /** A place is an address and a port in one number. The first `#free` of them are to be had, in no order. */
  readonly #places: Uint32Array;
  /** Where each place stands among `#places`, which is behind the free ones if it is not free. */
  readonly #indices: Uint32Array;
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
    this.#indices = this.#places.slice();
    this.#free = this.#places.length;
  }

  /** How many there are, free or not. */
  get size(): number {
    return this.#places.length;
  }

  /** Gives each of the free ports that are as wished with the same chance. Undefined when there is none. */
  draw(now: Millis, wish?: RelayPortWish): RelayPort | undefined {
    if (this.#taken.length > 0 && now - this.#takenSince >= retryTakenMillis) this.#retryTaken();
    const place = this.#find(wish);
    if (place === undefined) return undefined;
    this.#free -= 1;
    this.#swap(this.#indices[place] ?? 0, this.#free);
    const address = this.#addresses[Math.floor(place / this.#span)];
    return address && { address, port: this.#portOf(place) };
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

  /** A free place that is as wished. */
  #find(wish: RelayPortWish | undefined): number | undefined {
    if (this.#free === 0) return undefined;
    if (typeof wish === "number") return this.#findExactly(wish);
    const start = this.#randomBelow(this.#free);
    return wish === "even" ? this.#findEven(start) : this.#places[start];
  }

  #findExactly(port: number): number | undefined {
    if (port < this.#first || port >= this.#first + this.#span) return undefined;
    const places = this.#addresses.map((_, index) => index * this.#span + port - this.#first);
    return places.find((place) => this.#isFree(place));
  }

  /** From there on, the first with a free neighbour; without such, the first that is even. */
  #findEven(start: number): number | undefined {
    let lonely: number | undefined;
    for (let i = 0; i < this.#free; i++) {
      const place = this.#places[(start + i) % this.#free] ?? 0;
      const port = this.#portOf(place);
      if (port % 2 !== 0) continue;
      if (port + 1 < this.#first + this.#span && this.#isFree(place + 1)) return place;
      lonely ??= place;
    }
    return lonely;
  }

  #isFree(place: number): boolean {
    return (this.#indices[place] ?? this.#free) < this.#free;
  }

  #portOf(place: number): number {
    return this.#first + (place % this.#span);
  }

  #put(place: number): void {
    this.#swap(this.#indices[place] ?? 0, this.#free);
    this.#free += 1;
  }

  #swap(one: number, other: number): void {
    const [place = 0, otherPlace = 0] = [this.#places[one], this.#places[other]];
    this.#places[one] = otherPlace;
    this.#places[other] = place;
    this.#indices[place] = other;
    this.#indices[otherPlace] = one;
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
