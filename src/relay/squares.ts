// The further listeners of NAT behaviour discovery: two addresses with the same two ports (RFC 5780 section 6).

import type { NatDiscovery } from "../config/config.ts";
import { primaryOf } from "../config/nat-discovery.ts";
import type { Dataplane, Listener, RelayAddress } from "../contract.ts";
import type { Corner, Square } from "../turn/requests/nat-discovery.ts";

export interface Squares {
  readonly squares: readonly Square[];
  /** Listeners that stand at the corners and are there for NAT discovery only. */
  readonly further: readonly Listener[];
}

/** Opens three listeners for each alternate address. The fourth is the first of `listeners` that has one such address. */
export async function openSquares(
  plane: Dataplane,
  listeners: readonly Listener[],
  { alternateAddress, alternatePort }: NatDiscovery,
  relayAddresses: readonly RelayAddress[],
): Promise<Squares> {
  const squares: Square[] = [];
  const further: Listener[] = [];
  for (const alternate of alternateAddress) {
    const same = primaryOf(listeners, alternate);
    if (!same) continue;
    const { address, port } = same.at;
    const otherPort = await plane.listen("udp", { address, port: alternatePort });
    const otherAddress = await plane.listen("udp", { address: alternate.bind, port });
    const other = await plane.listen("udp", { address: alternate.bind, port: otherPort.at.port });
    further.push(otherPort, otherAddress, other);

    const primary = relayAddresses.find(({ bind }) => bind === address);
    squares.push([
      cornerOf(same, primary),
      cornerOf(otherPort, primary),
      cornerOf(otherAddress, alternate),
      cornerOf(other, alternate),
    ]);
  }
  return { squares, further };
}

function cornerOf({ socket, at }: Listener, seenAs: RelayAddress | undefined): Corner {
  return { socket, at: { ...at, address: seenAs?.external ?? at.address } };
}
