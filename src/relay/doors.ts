// A listener as others meet it: where clients find it, what XEP-0215 says of it, and where no client may be relayed to.

import { type Endpoint, familyOf, type Listener, type ListenerKind, type RelayAddress } from "../contract.ts";
import { type Door, schemes, stunUri, turnUri } from "../turn/uri.ts";
import type { ExternalService } from "../xmpp/xep0215-external-services.ts";
import type { Media } from "./media.ts";
import { certifiedHost } from "./watched-certificates.ts";

/** One for each transport that it takes. */
export function asMet(kind: ListenerKind, listener: Listener): Listener[] {
  return kind === "any" ? [listener, { ...listener, transport: "tls" }] : [listener];
}

/**
 * A wildcard listener is reached where relay ports are; a listener behind a NAT, at the NAT's outside. `tlsHost` is the
 * name that clients over TLS and DTLS can check the certificate by, if there is one.
 */
export function doorsOf(
  listeners: readonly Listener[],
  relayAddresses: readonly RelayAddress[],
  tlsHost?: string,
): Door[] {
  const doors = listeners.flatMap(({ transport, at }) => {
    const relay = relayAddresses.find(({ bind }) =>
      isWildcard(at) ? familyOf(bind) === familyOf(at.address) : bind === at.address,
    );
    const host = relay?.external ?? relay?.bind ?? (isWildcard(at) ? undefined : at.address);
    if (host === undefined) return [];
    return [{ transport, host: schemes[transport].turn === "turns" ? (tlsHost ?? host) : host, port: at.port }];
  });
  return eachOnce(doors);
}

/** Under one name, also a listener of a family that we do not relay in. */
export function offeredDoors(
  { listeners, relayAddresses, certificates }: Pick<Media, "listeners" | "relayAddresses" | "certificates">,
  host?: string,
): Door[] {
  if (host === undefined) return doorsOf(listeners, relayAddresses, certifiedHost(certificates));
  return listeners.map(({ transport, at }) => ({ transport, host, port: at.port }));
}

/** One entry a place and transport, however many listeners stand behind it. */
export function servicesOf(doors: readonly Door[]): ExternalService[] {
  const services = doors.flatMap(({ transport, ...place }): ExternalService[] => [
    ...(transport === "udp" ? [{ type: "stun" as const, ...place }] : []),
    { type: schemes[transport].turn, ...place, transport: schemes[transport].below },
  ]);
  return eachOnce(services);
}

/**
 * Where TURN is to be had (RFC 7065), or where nothing is relayed, STUN (RFC 7064). Over DTLS last: browsers take such a URI
 * for TLS, and find nothing there.
 */
export function urisOf(doors: readonly Door[], relays: boolean): string[] {
  const isLast = ({ transport }: Door) => transport === "dtls";
  const inOrder = [...doors.filter((door) => !isLast(door)), ...doors.filter(isLast)];
  return eachOnce(inOrder.map(relays ? turnUri : stunUri));
}

function eachOnce<Item>(items: readonly Item[]): Item[] {
  return [...new Map(items.map((item) => [JSON.stringify(item), item])).values()];
}

/** Everywhere that a packet meets this listener, on a machine with these addresses. */
export function endpointsOf(
  { at }: Listener,
  relayAddresses: readonly RelayAddress[],
  machineAddresses: readonly string[],
): Endpoint[] {
  const isOfFamily = (address: string) => familyOf(address) === familyOf(at.address);
  const own = isWildcard(at) ? machineAddresses : [];
  const external = relayAddresses.map((relay) => relay.external).filter((address) => address !== undefined);
  const addresses = [at.address, ...[...own, ...external].filter(isOfFamily)];
  return addresses.map((address) => ({ address, port: at.port }));
}

export function isWildcard({ address }: Endpoint): boolean {
  return address === "0.0.0.0" || address === "::";
}
