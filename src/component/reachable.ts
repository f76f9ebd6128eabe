// Which hosts make sense in an offer: the addresses that a client somewhere can reach.

import { parseAddress } from "../stun/address.ts";
import { peerPolicy } from "../turn/peer-policy.ts";

const privateRanges = ["10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"];

/** `host` is a domain name or an IP address. `allowPrivate` counts loopback and private networks as reachable, too. */
export function isReachable(host: string, allowPrivate: boolean): boolean {
  if (!parseAddress(host)) return allowPrivate || !/(^|\.)(localhost|local)\.?$/i.test(host);
  // What no client may ask a relay to reach is where no client can be sent, either.
  const policy = peerPolicy({
    allow: allowPrivate ? privateRanges : [],
    deny: [],
    loopback: allowPrivate,
    listeners: [],
    relayAddresses: [],
  });
  return policy.mayReach({ address: host, port: 1 });
}
