// What streams pass before they are connections, as the configuration has it.

import type { Config } from "../config/config.ts";
import type { Certificates } from "../dataplane/certificates.ts";
import type { EntranceOptions } from "../dataplane/stream.ts";
import { parseAddress } from "../stun/address.ts";
import { contains, parseCidr } from "../turn/cidr.ts";

export function entranceOf(
  { proxyProtocol, foreignTls, xmpp }: Config,
  certificates: Certificates | undefined,
): EntranceOptions {
  const networks = proxyProtocol.trusted.map(parseCidr).filter((network) => network !== undefined);
  return {
    certificates,
    foreignTls,
    takesSocks5: xmpp?.proxy65 !== undefined,
    isProxy: (address) => {
      const bytes = parseAddress(address);
      return bytes !== undefined && networks.some((network) => contains(network, bytes));
    },
  };
}
