// Which addresses relay ports bind when the operator names none: what the interfaces of this machine have.

import { type NetworkInterfaceInfo, networkInterfaces } from "node:os";
import { type Family, familyOf, type RelayAddress } from "../contract.ts";
import { parseAddress } from "../stun/address.ts";
import { contains, parseCidr } from "../turn/cidr.ts";
import { loopbackRanges, specialPurposeRanges } from "../turn/special-purpose.ts";

export interface RelayAddresses {
  readonly addresses: readonly RelayAddress[];
  /** What the operator should know about them. */
  readonly warnings: readonly string[];
}

type Interfaces = Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>;

const linkLocalRanges = ["169.254.0.0/16", "fe80::/10"];

/** At most one a family: public ones if there are any, else private ones, else loopback. `loopback` asks for the last. */
export function detectRelayAddresses(loopback: boolean, interfaces: Interfaces = networkInterfaces()): RelayAddresses {
  const all = machineAddresses(interfaces);
  const local = onePerFamily(all.filter((address) => isIn(loopbackRanges, address)));
  if (loopback) return { addresses: local, warnings: [] };
  const open = onePerFamily(all.filter((address) => !isIn(specialPurposeRanges, address)));
  if (open.length > 0) return { addresses: open, warnings: [] };
  const inner = onePerFamily(reachableAddresses(interfaces));
  if (inner.length > 0) return { addresses: inner, warnings: inner.map(privateAddressWarning) };
  return { addresses: local, warnings: ["this machine has loopback addresses only: nobody else can be relayed to"] };
}

/** All addresses of this machine, without zones. */
export function machineAddresses(interfaces: Interfaces = networkInterfaces()): string[] {
  return Object.values(interfaces).flatMap((infos) => (infos ?? []).map(({ address }) => address));
}

/** Those by which others can reach it. */
export function reachableAddresses(interfaces: Interfaces = networkInterfaces()): string[] {
  return machineAddresses(interfaces).filter((address) => !isIn([...loopbackRanges, ...linkLocalRanges], address));
}

function privateAddressWarning({ bind }: RelayAddress): string {
  return (
    `relaying on ${bind}, which is not a public address: behind a NAT, clients outside need ` +
    `relay-address: { bind: "${bind}", external: PUBLIC-ADDRESS }`
  );
}

function onePerFamily(addresses: readonly string[]): RelayAddress[] {
  const families: readonly Family[] = [4, 6];
  return families
    .map((family) => addresses.find((address) => familyOf(address) === family))
    .filter((bind) => bind !== undefined)
    .map((bind) => ({ bind }));
}

function isIn(ranges: readonly string[], address: string): boolean {
  const bytes = parseAddress(address);
  return ranges.some((range) => {
    const cidr = parseCidr(range);
    return bytes !== undefined && cidr !== undefined && contains(cidr, bytes);
  });
}
