// What relays: a plane, the TURN server deciding for it, and whatever either of them asks.

import { randomBytes, randomInt } from "node:crypto";
import type { Log } from "../admin/log.ts";
import { endpointText } from "../admin/masking.ts";
import type { Config, Listen } from "../config/config.ts";
import { machineAddresses } from "../config/relay-addresses.ts";
import {
  type Action,
  type Dataplane,
  type Endpoint,
  type Fact,
  familyOf,
  type Listener,
  type Millis,
  type Order,
  type RelayAddress,
  type SocketId,
  Unavailable,
} from "../contract.ts";
import { Certificates } from "../dataplane/certificates.ts";
import { choosePlane } from "../dataplane/choose.ts";
import { Loop } from "../dataplane/loop.ts";
import type { StreamingPlaneOptions } from "../dataplane/stream.ts";
import type { Ban } from "../turn/bans.ts";
import { clientPolicy } from "../turn/client-policy.ts";
import type { AllocationView } from "../turn/orders.ts";
import type { PeerPolicy } from "../turn/peer-policy.ts";
import { TurnServer } from "../turn/server.ts";
import { openAccounts } from "./accounts.ts";
import { type Bytestreams, openBytestreams, sharedMachine } from "./bytestreams.ts";
import { now } from "./clock.ts";
import { asMet, type Door, doorsOf } from "./doors.ts";
import { entranceOf } from "./entrance.ts";
import { type Moves, moved, movedPort, onFreePort } from "./free-port.ts";
import { OwnPlaces, type PeerLists } from "./own-places.ts";
import { ChannelDesk } from "./relay-nodes.ts";
import { openSquares, type Squares } from "./squares.ts";
import { certifiedHost, watchCertificates } from "./watched-certificates.ts";

const software = "Sluice";

export interface Media {
  readonly plane: Dataplane;
  readonly listeners: readonly Listener[];
  /** Listeners that are there for NAT discovery only. */
  readonly further: readonly Listener[];
  /** Listeners that take SOCKS5 and nothing else. */
  readonly proxies: readonly Listener[];
  readonly bytestreams: Bytestreams | undefined;
  readonly relayAddresses: readonly RelayAddress[];
  readonly certificates: Certificates | undefined;
  readonly operator: Operator;
  /** Where XEP-0278 is offered. */
  readonly channels: ChannelDesk | undefined;
  /** To be called when an external address is another. */
  readdress(): void;
  /** Reads files anew. `peers`: who may be reached from now on, if that is known to be another. */
  reload(peers?: PeerLists): Promise<void>;
  stop(): Promise<void>;
}

/** What an operator sees, and has done at once. */
export interface Operator {
  allocations(): readonly AllocationView[];
  bans(): readonly Ban[];
  order(order: Order): void;
}

/** Rejects with `Unavailable` when an address or port is not to be had; then nothing stays open. */
export async function openMedia(
  config: Config,
  relayAddresses: readonly RelayAddress[],
  moves: Moves,
  report: (fact: Fact) => void,
): Promise<Media> {
  const newSocketId = socketIds();
  let channels: ChannelDesk | undefined;
  // Which peers may be reached depends on the ports that the listeners get: until then, none and nothing.
  let mind: { readonly peers: PeerPolicy; readonly loop: Loop } | undefined;
  const certificates = config.tls.length > 0 ? await Certificates.open(config.tls) : undefined;
  const accounts = await openAccounts(config, { log: moves.log, hand: (input) => mind?.loop.hand(input), now });
  const planeOptions: StreamingPlaneOptions = {
    entrance: entranceOf(config, certificates),
    relayAddresses,
    relayPorts: config.relayPorts,
    mayEnter: clientPolicy(config.clients),
    mayReach: (peer) => mind?.peers.mayReach(peer) ?? false,
    now,
    newSocketId,
    randomBelow: (below) => randomInt(below),
    hand(input) {
      channels?.hand(input);
      accounts.hand(input);
    },
    report,
  };
  const listen = listenersOf(config, moves.log);
  const opened = openPlane(planeOptions, { ...config, listen }, moves);
  const { plane, listeners, squares, further, proxies } = await opened.catch((error) => {
    accounts.stop();
    throw error;
  });

  const peers = new OwnPlaces({
    ...config.peers,
    loopback: config.loopback,
    listeners: [...listeners, ...further, ...proxies],
    further: squares.flatMap((square) => square.map(({ at }) => at)),
    relayAddresses,
    machineAddresses,
  });
  const machine = new TurnServer({
    realm: config.realm,
    software,
    authenticate: accounts.authenticate,
    mustAsk: accounts.mustAsk,
    usernameOf: accounts.usernameOf,
    peers,
    families: [...new Set(relayAddresses.map(({ bind }) => familyOf(bind)))],
    limits: config.quota,
    relays: config.relay,
    relaysTcp: config.relayTcp,
    accessTokens: config.oauth,
    mobility: config.mobility,
    abilities: plane.abilities,
    rates: config.rate,
    replyRate: config.replyBudget,
    alternates: { ...config.alternateServers, isOurs: (at) => peers.isOurs(at) },
    nonceSecret: randomBytes(32),
    newSocketId,
    squares,
  });
  const isBanned = (address: string, at: Millis) => machine.bans.holdsClient(address, at);
  const fault = (error: unknown) => moves.log.fact({ fact: "fault-of-ours", error });
  const proxy65 = config.xmpp?.proxy65;
  const shared = listeners.filter(({ socket }, index) => listeners.findIndex((each) => each.socket === socket) < index);
  const bytestreams =
    proxy65 &&
    openBytestreams(proxy65, {
      plane,
      listeners: [...proxies, ...shared.map((listener): Listener => ({ ...listener, transport: "tcp" }))],
      relayAddresses,
      host: config.xmpp?.host,
      isBanned,
    });
  const loop = new Loop({
    machine: bytestreams ? sharedMachine(machine, bytestreams.machine) : machine,
    now,
    perform: (action) => (action.do === "ask" ? accounts.ask(action) : plane.perform(action)),
    fault,
  });
  mind = { peers, loop };
  const limits = config.xmpp?.relayNodes;
  if (limits) {
    const family = relayAddresses.some(({ bind }) => familyOf(bind) === 4) ? 4 : 6;
    const perform = (action: Action) => plane.perform(action);
    channels = new ChannelDesk({ family, limits, isBanned, newSocketId, now, perform, fault });
  }
  const watch = certificates && watchCertificates(certificates, moves.log, now);

  return {
    plane,
    listeners,
    further,
    proxies,
    bytestreams,
    relayAddresses,
    certificates,
    operator: {
      allocations: () => machine.allocations(),
      bans: () => machine.bans.list(now()),
      order(order) {
        loop.hand({ is: "ordered", order });
        channels?.order(order);
      },
    },
    channels,
    readdress: () => peers.renew(),
    async reload(lists) {
      if (lists) {
        peers.renew(lists);
        loop.hand({ is: "ordered", order: { order: "recheck-peers" } });
      }
      await watch?.reload();
      await accounts.reload();
    },
    async stop() {
      watch?.stop();
      accounts.stop();
      loop.stop();
      channels?.stop();
      await plane.close();
    },
  };
}

function socketIds(): () => SocketId {
  let last = 0;
  return () => {
    last += 1;
    return last;
  };
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
function proxyAddresses(xmpp: Config["xmpp"]): readonly Endpoint[] {
  return (xmpp?.proxy65?.listen ?? []).filter(({ address }) => address !== "::" || hasIpv6());
}

function openPlane(
  options: StreamingPlaneOptions,
  { dataplane, threads, listen, natDiscovery, replyBudget: replyRate, xmpp }: Config,
  moves: Moves,
): Promise<Squares & { plane: Dataplane; listeners: Listener[]; proxies: Listener[] }> {
  const ports = [...new Set(listen.map(({ at }) => at.port))];
  return onFreePort(`port ${ports.join(" or ")}`, moves, async (offset) => {
    // With two addresses, where an answer comes from and what it names is for the machine to say.
    const answersBinding = natDiscovery === undefined && options.mayEnter === undefined;
    const { plane, whyNoBetter } = choosePlane(dataplane, options, { threads, answersBinding, replyRate });
    try {
      const listeners: Listener[] = [];
      for (const { transport, at } of listen)
        listeners.push(...asMet(transport, await plane.listen(transport, moved(at, offset))));
      const proxies: Listener[] = [];
      for (const at of proxyAddresses(xmpp)) proxies.push(await plane.listen("socks5", moved(at, offset)));
      if (whyNoBetter !== undefined) moves.log.info(`the ${plane.name} dataplane serves: ${whyNoBetter}`);
      if (!natDiscovery) return { plane, listeners, proxies, squares: [], further: [] };
      const { alternateAddress, alternatePort } = natDiscovery;
      const wanted = { alternateAddress, alternatePort: movedPort(alternatePort, offset) };
      return { plane, listeners, proxies, ...(await openSquares(plane, listeners, wanted, options.relayAddresses)) };
    } catch (error) {
      await plane.close();
      throw error;
    }
  });
}

/** Under one name, also a listener of a family that we do not relay in. */
export function offeredDoors({ listeners, relayAddresses, certificates }: Media, host: string | undefined): Door[] {
  if (host === undefined) return doorsOf(listeners, relayAddresses, certifiedHost(certificates));
  return listeners.map(({ transport, at }) => ({ transport, host, port: at.port }));
}
