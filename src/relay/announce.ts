// What the log says when a relay has started: where it listens, what it relays, and what the operator should know of that.

import type { Log } from "../admin/log.ts";
import type { Config } from "../config/config.ts";
import { reachableAddresses } from "../config/relay-addresses.ts";
import { endpointText, familyOf, type Listener } from "../contract.ts";
import type { HttpListener } from "../http-listener.ts";
import { openFilesAtMost, reportCapacity } from "./capacity.ts";
import { isWildcard } from "./doors.ts";
import type { Media } from "./media.ts";

export interface Started {
  readonly media: Media;
  readonly admin: HttpListener | undefined;
  readonly credentials: HttpListener | undefined;
}

export function announce(config: Config, { media, admin, credentials }: Started, log: Log): void {
  const { plane, listeners, further, proxies, relayAddresses } = media;
  for (const { transport, at } of listeners) log.info("listening", { transport, at: endpointText(at) });
  tellOfSeveralAddresses(listeners, log);
  for (const { at } of further) log.info("NAT discovery", { at: endpointText(at) });
  for (const { at } of proxies) log.info("bytestreams", { at: endpointText(at) });
  if (!config.relay) log.info("answering STUN only", { dataplane: plane.name });
  for (const { bind, external } of config.relay ? relayAddresses : []) {
    log.info("relaying", { bind, external, ports: config.relayPorts.join("-"), dataplane: plane.name });
  }
  if (config.relay) reportCapacity(config, openFilesAtMost(), log);
  if (admin) log.info("metrics", { at: endpointText(admin.at) });
  if (config.loopback)
    log.warn("LOOPBACK PEERS ARE ALLOWED: clients reach every UDP service of this machine. For a try-out only.");
  if (credentials) log.info("handing out credentials", { at: endpointText(credentials.at) });
}

/** Over UDP nobody tells where a packet came in, and Node cannot be asked, so the answer's address is the system's choice. */
function tellOfSeveralAddresses(listeners: readonly Listener[], log: Log): void {
  for (const { transport, at } of listeners) {
    if (transport !== "udp" || !isWildcard(at)) continue;
    const addresses = reachableAddresses().filter((address) => familyOf(address) === familyOf(at.address));
    if (addresses.length < 2) continue;
    const text =
      "answers leave from the address that the system chooses: name each in `listen` for them to be the right one";
    log.info(text, { at: endpointText(at), addresses: addresses.length });
  }
}
