// The composition: a plane with the TURN server deciding for it, the operator's log, metrics and health pages, and the
// XMPP component that hands out credentials. This file and the folder beside it are all that knows everyone.

import { type Log, openLog } from "./admin/log.ts";
import type { Component } from "./component/component.ts";
import type { Config, ConfiguredRelayAddress } from "./config/config.ts";
import { ConfigError } from "./config/mistakes.ts";
import { detectRelayAddresses } from "./config/relay-addresses.ts";
import type { Endpoint, Fact, Listener, PlaneCounters, RelayAddress, Unavailable } from "./contract.ts";
import { askExternalAddress } from "./discover/external-address.ts";
import { openAdmin } from "./relay/admin.ts";
import { announce } from "./relay/announce.ts";
import { now } from "./relay/clock.ts";
import { openComponent } from "./relay/component.ts";
import { openCredentials } from "./relay/credentials.ts";
import { offeredDoors } from "./relay/doors.ts";
import { Drain } from "./relay/drain.ts";
import { ExternalAddresses } from "./relay/external-addresses.ts";
import type { Moves } from "./relay/free-port.ts";
import { openMedia } from "./relay/media.ts";
import { watchOpenFiles } from "./relay/open-files.ts";
import { checkOwnAddresses } from "./relay/own-addresses.ts";
import type { Door } from "./turn/uri.ts";
import { CallHistories } from "./xmpp/console/call-histories.ts";

export interface RelayOptions {
  /** Where a port is taken, take the next one that is free, and say so. */
  readonly mayMovePorts?: boolean;
  readonly log?: Log;
}

export interface Relay {
  /** With the ports that they really have. */
  readonly listeners: readonly Listener[];
  readonly relayAddresses: readonly RelayAddress[];
  /** The listeners as clients see them from outside. */
  readonly doors: readonly Door[];
  /** Where /metrics is; nowhere if the configuration says none. */
  readonly metrics: Endpoint | undefined;
  /** Where /credentials is. */
  readonly credentials: Endpoint | undefined;
  counters(): PlaneCounters;
  /** Of the connection to the XMPP server, if there is to be one. */
  componentState(): string | undefined;
  /** Resolves if it cannot go on. It is to be stopped all the same. */
  readonly givenUp: Promise<Unavailable>;
  /**
   * Reads anew what stands in files and may change while it runs: certificates and users; and of the configuration, if
   * `reread` does that, which peers may be reached. A broken file changes nothing.
   */
  reload(reread?: () => Config): Promise<void>;
  /** Makes no new allocations. */
  drain(): void;
  /** Resolves when it drains and the last allocation has ended, or when that takes longer than the operator allows. */
  readonly drained: Promise<void>;
  /** Resolves when every socket is closed. */
  stop(): Promise<void>;
}

const movesAtMost = 20;

/** Rejects with `Unavailable` when an address or port is not to be had; then nothing stays open. */
export async function startRelay(config: Config, options: RelayOptions = {}): Promise<Relay> {
  const { mayMovePorts = false, log = openLog(config.log) } = options;
  const moves: Moves = { most: mayMovePorts ? movesAtMost : 0, log };
  const told: ((fact: Fact) => void)[] = [(fact) => log.fact(fact)];
  const configured = relayAddressesOf(config, log);
  if (config.relay) await checkOwnAddresses(configured.map(({ bind }) => bind));
  const addresses = await ExternalAddresses.find(configured, { ask: askExternalAddress, log });
  const media = await openMedia(config, addresses.relayAddresses, moves, (fact) => {
    for (const tell of told) tell(fact);
  });
  let isStopping = false;
  const drain = new Drain({
    begin() {
      media.operator.order({ order: "drain" });
      void component?.stop();
      void credentials?.stop();
    },
    left: () => ({
      relayPorts: media.plane.counters().relays,
      ...(media.bytestreams ? { transfers: media.bytestreams.streams().length } : {}),
    }),
    secondsAtMost: config.drain.secondsAtMost,
    now,
    log,
  });
  let component: Component | undefined;
  const componentState = () => (config.xmpp ? (component?.state().state ?? "connecting") : undefined);
  const admin = await openAdmin(config, {
    media,
    addresses,
    component: () => component,
    componentState,
    moves,
    drain,
    isStopping: () => isStopping,
  }).catch(async (error) => {
    await media.stop();
    throw error;
  });
  const credentials = await openCredentials(config, (host) => offeredDoors(media, host), now).catch(async (error) => {
    await admin?.stop();
    await media.stop();
    throw error;
  });
  if (admin) told.push((fact) => admin.metrics.count(fact));
  let giveUp = (_: Unavailable) => {};
  const givenUp = new Promise<Unavailable>((resolve) => {
    giveUp = resolve;
  });
  const histories = new CallHistories();
  if (config.xmpp) told.push((fact) => histories.hear(now(), fact));
  if (config.xmpp) {
    const parts = { media, log, metrics: admin?.metrics, histories, drain: () => drain.begin(), giveUp };
    component = openComponent(config, config.xmpp, parts);
  }
  const readdress = () => {
    media.readdress();
    component?.renewServices();
  };
  addresses.watch(config.externalCheckSeconds, readdress);
  const stopWatchingFiles = watchOpenFiles(log);
  announce(config, { media, admin, credentials }, log);

  return {
    listeners: media.listeners,
    relayAddresses: media.relayAddresses,
    doors: offeredDoors(media),
    metrics: admin?.at,
    credentials: credentials?.at,
    counters: () => media.plane.counters(),
    componentState,
    givenUp,
    async reload(reread) {
      await Promise.all([media.reload(reread && rereadPeers(reread, log)), addresses.check(readdress)]);
    },
    drain: () => drain.begin(),
    drained: drain.ended,
    async stop() {
      isStopping = true;
      drain.stop();
      addresses.stop();
      stopWatchingFiles();
      log.info("stopping");
      await component?.stop();
      await credentials?.stop();
      await media.stop();
      await admin?.stop();
      log.info("stopped");
    },
  };
}

function rereadPeers(reread: () => Config, log: Log): Config["peers"] | undefined {
  try {
    const { peers } = reread();
    log.info("peers read", { allowed: peers.allow.length, denied: peers.deny.length });
    return peers;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    log.error("the configuration has mistakes, and the lists of peers stay as they were", { reason: error.message });
    return undefined;
  }
}

function relayAddressesOf({ relayAddress, loopback }: Config, log: Log): readonly ConfiguredRelayAddress[] {
  if (relayAddress.length > 0) return relayAddress;
  const { addresses, warnings } = detectRelayAddresses(loopback);
  for (const warning of warnings) log.warn(warning);
  return addresses;
}
