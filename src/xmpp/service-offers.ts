// Which of our services the users of a domain are told of: the operator's choice out of what is really open.

import type { ExternalService } from "./xep0215-external-services.ts";

/** Fits a service that is all of this. */
export interface ServicePattern {
  readonly type?: ExternalService["type"];
  readonly transport?: "udp" | "tcp";
  readonly port?: number;
  /** A service at a name fits both: who looks it up chooses. */
  readonly family?: "ipv4" | "ipv6";
}

/** Patterns by domain, in lower case. Domains that are not here are told of everything. */
export type ServiceOffers = ReadonlyMap<string, readonly ServicePattern[]>;

export function servicesFor(
  domain: string,
  services: readonly ExternalService[],
  offers: ServiceOffers,
): readonly ExternalService[] {
  const patterns = offers.get(domain);
  return patterns ? services.filter((service) => patterns.some((pattern) => fits(service, pattern))) : services;
}

function fits(service: ExternalService, { type, transport, port, family }: ServicePattern): boolean {
  const isAny = <Value>(wanted: Value | undefined, ...values: Value[]) =>
    wanted === undefined || values.includes(wanted);
  return (
    isAny(type, service.type) &&
    isAny(transport, transportOf(service)) &&
    isAny(port, service.port) &&
    isAny(family, ...familiesOf(service.host))
  );
}

function transportOf(service: ExternalService): "udp" | "tcp" {
  if ("transport" in service) return service.transport;
  return service.type === "stun" ? "udp" : "tcp";
}

function familiesOf(host: string): ("ipv4" | "ipv6")[] {
  if (host.includes(":")) return ["ipv6"];
  return /^\d+(\.\d+){3}$/.test(host) ? ["ipv4"] : ["ipv4", "ipv6"];
}
