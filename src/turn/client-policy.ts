// Which clients may come in, by their address. Asked before anything of what they send is looked at.

import { parseAddress } from "../stun/address.ts";
import { type Cidr, cidrOf, contains } from "./cidr.ts";

export interface ClientNetworks {
  /** In CIDR notation. None: everybody. */
  readonly allow: readonly string[];
  /** They win over `allow`. */
  readonly deny: readonly string[];
}

export type MayEnter = (address: string) => boolean;

/** Undefined where everybody may. */
export function clientPolicy({ allow, deny }: ClientNetworks): MayEnter | undefined {
  if (allow.length === 0 && deny.length === 0) return undefined;
  const [allowed, denied] = [allow.map(cidrOf), deny.map(cidrOf)];
  return (text) => {
    const address = parseAddress(text);
    const isIn = (ranges: readonly Cidr[]) => address !== undefined && ranges.some((range) => contains(range, address));
    return (allowed.length === 0 || isIn(allowed)) && !isIn(denied);
  };
}
