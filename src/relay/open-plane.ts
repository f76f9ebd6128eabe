// The plane that the configuration names, with all its listeners, on ports that are free.

import type { Log } from "../admin/log.ts";
import type { Config, Listen } from "../config/config.ts";
import { machineAddresses } from "../config/relay-addresses.ts";
import { type Dataplane, type Endpoint, endpointText, familyOf, type Listener, Unavailable } from "../contract.ts";
import { choosePlane } from "../dataplane/choose.ts";
import type { StreamingPlaneOptions } from "../dataplane/stream.ts";
import { asMet } from "./doors.ts";
import { type Moves, moved, movedPort, onFreePort } from "./free-port.ts";
import { openSquares, type Squares } from "./squares.ts";

export interface OpenPlane extends Squares {
  readonly plane: Dataplane;
  readonly listeners: readonly Listener[];
  /** Listeners that take SOCKS5 and nothing else. */
  readonly proxies: readonly Listener[];
}

/** Rejects with `Unavailable` when an address or port is not to be had; then nothing stays open. */
export async function openPlane(options: StreamingPlaneOptions, config: Config, moves: Moves): Promise<OpenPlane> {
  const { dataplane, threads, natDiscovery, replyBudget: replyRate } = config;
  const wanted = listenersOf(config, moves.log);
  const ports = [...new Set(wanted.map(({ at }) => at.port))];
  // With two addresses, where an answer comes from and what it names is for the machine to say.
  const answersBinding = natDiscovery === undefined && options.mayEnter === undefined;
  return await onFreePort(`port ${ports.join(" or ")}`, moves, async (offset) => {
    const { plane, whyNoBetter } = choosePlane(dataplane, options, { threads, answersBinding, replyRate });
    try {
      const listeners: Listener[] = [];
      for (const { transport, at } of wanted)
        listeners.push(...asMet(transport, await plane.listen(transport, moved(at, offset))));
      const proxies: Listener[] = [];
      for (const at of proxyAddresses(config)) proxies.push(await plane.listen("socks5", moved(at, offset)));
      if (whyNoBetter !== undefined) moves.log.info(`the ${plane.name} dataplane serves: ${whyNoBetter}`);
      if (!natDiscovery) return { plane, listeners, proxies, squares: [], further: [] };
      const alternatePort = movedPort(natDiscovery.alternatePort, offset);
      const squares = await openSquares(plane, listeners, { ...natDiscovery, alternatePort }, options.relayAddresses);
      return { plane, listeners, proxies, ...squares };
    } catch (error) {
      await plane.close();
      throw error;
    }
  });
}

/** Those that are asked for and that this machine can have. */
function listenersOf({ listen }: Config, log: Log): readonly Listen[] {
  const [possible, impossible] = hasIpv6()
    ? [listen, []]
    : [listen.filter(({ at }) => at.address !== "::"), listen.filter(({ at }) => at.address === "::")];
  for (const { transport, at } of impossible) {
    log.warn(`this machine has no IPv6: not listening on ${transport} ${endpointText(at)}`);
  }
  if (possible.length === 0) throw new Unavailable("nothing to listen on: this machine has no IPv6");
  return possible;
}

function hasIpv6(): boolean {
  return machineAddresses().some((address) => familyOf(address) === 6);
}

/** Where a machine without IPv6 can have them. */
function proxyAddresses({ xmpp }: Config): readonly Endpoint[] {
  return (xmpp?.proxy65?.listen ?? []).filter(({ address }) => address !== "::" || hasIpv6());
}
