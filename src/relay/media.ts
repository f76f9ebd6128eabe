// What relays: a plane, the TURN server deciding for it, and whatever either of them asks.

import { randomBytes, randomInt } from "node:crypto";
import type { Config } from "../config/config.ts";
import { machineAddresses } from "../config/relay-addresses.ts";
import {
  type Action,
  type Dataplane,
  type Fact,
  familyOf,
  type Millis,
  type Order,
  type RelayAddress,
  type SocketId,
} from "../contract.ts";
import { Certificates } from "../dataplane/certificates.ts";
import { Loop } from "../dataplane/loop.ts";
import type { StreamingPlaneOptions } from "../dataplane/stream.ts";
import type { Ban } from "../turn/bans.ts";
import { clientPolicy } from "../turn/client-policy.ts";
import type { AllocationView } from "../turn/orders.ts";
import type { PeerPolicy } from "../turn/peer-policy.ts";
import type { Square } from "../turn/requests/nat-discovery.ts";
import { TurnServer } from "../turn/server.ts";
import { type Accounts, openAccounts } from "./accounts.ts";
import { type Bytestreams, openBytestreams, sharedMachine } from "./bytestreams.ts";
import { now } from "./clock.ts";
import { entranceOf } from "./entrance.ts";
import type { Moves } from "./free-port.ts";
import { type OpenPlane, openPlane } from "./open-plane.ts";
import { OwnPlaces, type PeerLists } from "./own-places.ts";
import { ChannelDesk } from "./relay-nodes.ts";
import { watchCertificates } from "./watched-certificates.ts";

const software = "Sluice";

export interface Media extends Omit<OpenPlane, "squares"> {
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
  const { squares, ...opened } = await openPlane(planeOptions, config, moves).catch((error) => {
    accounts.stop();
    throw error;
  });
  const { plane, listeners, further, proxies } = opened;

  const peers = new OwnPlaces({
    ...config.peers,
    loopback: config.loopback,
    listeners: [...listeners, ...further, ...proxies],
    further: squares.flatMap((square) => square.map(({ at }) => at)),
    relayAddresses,
    machineAddresses,
  });
  const machine = turnServerOf(config, { plane, accounts, peers, squares, relayAddresses, newSocketId });
  const isBanned = (address: string, at: Millis) => machine.bans.holdsClient(address, at);
  const fault = (error: unknown) => moves.log.fact({ fact: "fault-of-ours", error });
  const bytestreams = openBytestreams(config.xmpp, { plane, listeners, proxies, relayAddresses, isBanned });
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
    ...opened,
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

interface TurnServerParts {
  readonly plane: Dataplane;
  readonly accounts: Accounts;
  readonly peers: OwnPlaces;
  readonly squares: readonly Square[];
  readonly relayAddresses: readonly RelayAddress[];
  readonly newSocketId: () => SocketId;
}

function turnServerOf(config: Config, parts: TurnServerParts): TurnServer {
  const { plane, accounts, peers, squares, relayAddresses, newSocketId } = parts;
  return new TurnServer({
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
}

function socketIds(): () => SocketId {
  let last = 0;
  return () => {
    last += 1;
    return last;
  };
}
