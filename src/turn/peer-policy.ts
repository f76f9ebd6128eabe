// Which peers a client may reach through the relay. Asked where permissions are made and before each packet leaves.

import assert from "node:assert";
import type { Endpoint } from "../contract.ts";
import { formatAddress, parseAddress } from "../stun/address.ts";
import { type Cidr, cidrOf, contains } from "./cidr.ts";
import { loopbackRanges, specialPurposeRanges } from "./special-purpose.ts";
import { wrappedAddresses } from "./wrapped-addresses.ts";

export interface PeerPolicy {
  /**
   * May a client have a permission for this address, and with `port` a channel to it? Our own relayed addresses are
   * among what may be permitted: a plane delivers to its own relay ports without asking `mayReach`.
   */
  mayPermit(address: string, port?: number): boolean;
  /** May a packet leave for this peer, which is not one of our own relay ports? */
  mayReach(peer: Endpoint): boolean;
}

/** Both included. */
export type PortSpan = readonly [first: number, last: number];

export interface PeerPolicyOptions {
  /** CIDR ranges. They open what is denied by default. */
  readonly allow: readonly string[];
  /** CIDR ranges. They win over everything. */
  readonly deny: readonly string[];
  /** Ports at which nobody is reached, whatever is allowed. None if not said. */
  readonly denyPorts?: readonly PortSpan[];
  /** Opens 127.0.0.0/8 and ::1, for trying out on one machine. */
  readonly loopback: boolean;
  /** Where we listen. One at 0.0.0.0 or :: stands for its port at `relayAddresses` and at every loopback address. */
  readonly listeners: readonly Endpoint[];
  /** What relay ports bind, and how peers see them. */
  readonly relayAddresses: readonly string[];
}

interface Verdict {
  readonly mayPermit: boolean;
  readonly mayReach: boolean;
  /** Ports of this address at which we listen ourselves. */
  readonly ownPorts: ReadonlySet<number>;
}

const noPorts: ReadonlySet<number> = new Set();
const never: Verdict = { mayPermit: false, mayReach: false, ownPorts: noPorts };
const loopback = loopbackRanges.map(cidrOf);
const rememberedVerdicts = 4096;

/**
 * `deny` wins over `allow`, and `allow` over the default denials (every special-purpose range). An IPv6 address that
 * wraps an IPv4 address needs both to be allowed. Port 0, the denied ports and our own listeners are never reached,
 * whatever is allowed; another port of a relay's own address only if `allow` names it, since that is a service of this host.
 */
export function peerPolicy(options: PeerPolicyOptions): PeerPolicy {
  const judge = judgeOf(options);
  const verdicts = new Map<string, Verdict>();
  const { denyPorts = [] } = options;
  const isClosed = (port: number) => port === 0 || denyPorts.some(([first, last]) => first <= port && port <= last);

  function verdictOn(address: string): Verdict {
    const known = verdicts.get(address);
    if (known) return known;
    const bytes = parseAddress(address);
    const verdict = bytes ? judge(bytes) : never;
    if (verdicts.size >= rememberedVerdicts) verdicts.clear();
    verdicts.set(address, verdict);
    return verdict;
  }

  return {
    mayPermit(address, port) {
      const verdict = verdictOn(address);
      return verdict.mayPermit && (port === undefined || !(isClosed(port) || verdict.ownPorts.has(port)));
    },
    mayReach({ address, port }) {
      const verdict = verdictOn(address);
      return verdict.mayReach && !isClosed(port) && !verdict.ownPorts.has(port);
    },
  };
}

function judgeOf(options: PeerPolicyOptions): (address: Uint8Array) => Verdict {
  const denied = options.deny.map(cidrOf);
  const allowed = options.allow.map(cidrOf);
  const deniedByDefault = specialPurposeRanges.map(cidrOf);
  const relayAddresses = new Set(options.relayAddresses.map(canonical));
  const listeners = options.listeners.map(({ address, port }) => ({ address: canonical(address), port }));

  const isRelay = (address: Uint8Array) => relayAddresses.has(formatAddress(address));
  const isOwn = (address: Uint8Array) => isRelay(address) || isIn(loopback, address);
  const isOpen = (address: Uint8Array) =>
    isIn(allowed, address) || !(isIn(deniedByDefault, address) || isRelay(address));

  function ownPortsAt(address: Uint8Array): number[] {
    const text = formatAddress(address);
    return listeners.filter((at) => at.address === text || (isWildcard(at) && isOwn(address))).map((at) => at.port);
  }

  return (address) => {
    const layers = [address, ...wrappedAddresses(address)];
    if (layers.some((layer) => isIn(denied, layer))) return never;
    const mayReach = layers.every(isOpen) || (options.loopback && isIn(loopback, address));
    const ownPorts = layers.flatMap(ownPortsAt);
    return {
      mayPermit: mayReach || isRelay(address),
      mayReach,
      ownPorts: ownPorts.length > 0 ? new Set(ownPorts) : noPorts,
    };
  };
}

function isIn(ranges: readonly Cidr[], address: Uint8Array): boolean {
  return ranges.some((range) => contains(range, address));
}

function isWildcard(at: Endpoint): boolean {
  return at.address === "0.0.0.0" || at.address === "::";
}

function canonical(address: string): string {
  const bytes = parseAddress(address);
  assert(bytes, `not an IP address: ${address}`);
  return formatAddress(bytes);
}
