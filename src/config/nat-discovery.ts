// What NAT discovery needs of the listeners: one at a single address, beside which the alternate one can stand.

import { familyOf, type RelayAddress } from "../contract.ts";
import type { Config, Listen } from "./config.ts";
import type { Path } from "./mistakes.ts";

/** Of `listeners`, the one whose address and port are the primary ones. On a wildcard nobody knows where a request came. */
export function primaryOf<L extends Listen>(listeners: readonly L[], { bind }: RelayAddress): L | undefined {
  const isOther = (address: string) => address !== "0.0.0.0" && address !== "::" && address !== bind;
  return listeners.find(
    ({ transport, at }) => transport === "udp" && isOther(at.address) && familyOf(at.address) === familyOf(bind),
  );
}

export function natDiscoveryMistakes({ listen, natDiscovery }: Config): { path: Path; message: string }[] {
  if (!natDiscovery) return [];
  const { alternateAddress, alternatePort } = natDiscovery;
  return alternateAddress.flatMap((alternate) => {
    const primary = primaryOf(listen, alternate);
    if (!primary) {
      const message = `needs a udp listener at one other IPv${familyOf(alternate.bind)} address, and not at all of them`;
      return [{ path: ["nat-discovery", "alternate-address"], message }];
    }
    if (alternatePort === 0 || alternatePort !== primary.at.port) return [];
    return [{ path: ["nat-discovery", "alternate-port"], message: "expected another port than the listener's" }];
  });
}
