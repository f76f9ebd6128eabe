// The composition, and the only file that knows everyone: a plane with the TURN server deciding for it, the operator's
// log, metrics and health pages, and the XMPP component that hands out credentials.

import { strict as assert } from "node:assert";
import { createHmac, randomBytes, randomInt } from "node:crypto";
import { type AdminServer, startAdmin } from "./admin/http.ts";
import { type Log, openLog } from "./admin/log.ts";
import { endpointText } from "./admin/masking.ts";
import { type Metrics, openMetrics } from "./admin/metrics.ts";
import { version } from "./cli/version.ts";
import { type Component, startComponent } from "./component/component.ts";
import type { Health } from "./component/connection.ts";
import type { Config, Listen, Xmpp } from "./config/config.ts";
import { detectRelayAddresses, machineAddresses } from "./config/relay-addresses.ts";
import {
  type Dataplane,
  type Endpoint,
  type Fact,
  familyOf,
  type Listener,
  type Millis,
  type PlaneCounters,
  type RelayAddress,
  type SocketId,
  Unavailable,
} from "./contract.ts";
import { Certificates } from "./dataplane/certificates.ts";
import { choosePlane } from "./dataplane/choose.ts";
import { Loop } from "./dataplane/loop.ts";
import type { StreamingPlaneOptions } from "./dataplane/stream.ts";
import { openAccounts } from "./relay/accounts.ts";
import { openCredentials } from "./relay/credentials.ts";
import { asMet, type Door, doorsOf, endpointsOf, servicesOf } from "./relay/doors.ts";
import { entranceOf } from "./relay/entrance.ts";
import { openSquares, type Squares } from "./relay/squares.ts";
import { certifiedHost, watchCertificates } from "./relay/watched-certificates.ts";
import { clientPolicy } from "./turn/client-policy.ts";
import { mintCredential } from "./turn/credentials.ts";
import { type PeerPolicy, peerPolicy } from "./turn/peer-policy.ts";
import { TurnServer } from "./turn/server.ts";

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
  /** Reads anew what stands in files and may change while it runs: certificates and users. */
  reload(): Promise<void>;
  /** Resolves when every socket is closed. */
  stop(): Promise<void>;
}

/** Ports tried after one that is taken. */
const movesAtMost = 20;
const software = "Sluice";

/** Rejects with `Unavailable` when an address or port is not to be had; then nothing stays open. */
export async function startRelay(config: Config, options: RelayOptions = {}): Promise<Relay> {
  const { mayMovePorts = false, log = openLog(config.log) } = options;
  const moves: Moves = { most: mayMovePorts ? movesAtMost : 0, log };
  const told: ((fact: Fact) => void)[] = [(fact) => log.fact(fact)];
  const media = await openMedia(config, relayAddressesOf(config, log), moves, (fact) => {
    for (const tell of told) tell(fact);
  });
  let isStopping = false;
  let component: Component | undefined;
  const componentState = () => (config.xmpp ? (component?.state().state ?? "connecting") : undefined);
  const admin = await openAdmin(config, { media, componentState, moves, isReady: () => !isStopping }).catch(
    async (error) => {
      await media.stop();
      throw error;
    },
  );
  const credentials = await openCredentials(config, (host) => offeredDoors(media, host), now).catch(async (error) => {
    await admin?.stop();
    await media.stop();
    throw error;
  });
  if (admin) told.push((fact) => admin.metrics.count(fact));
  if (config.xmpp) component = openComponent(config, config.xmpp, { media, log, metrics: admin?.metrics });
  announce(config, media, admin, log);

  return {
    listeners: media.listeners,
    relayAddresses: media.relayAddresses,
    doors: doorsOf(media.listeners, media.relayAddresses, certifiedHost(media.certificates)),
    metrics: admin?.at,
    credentials: credentials?.at,
    counters: () => media.plane.counters(),
    componentState,
    reload: () => media.reload(),
    async stop() {
      isStopping = true;
      log.info("stopping");
      await component?.stop();
      await credentials?.stop();
      await media.stop();
      await admin?.stop();
      log.info("stopped");
    },
  };
}

/** Unix time when the process started, advanced monotonically: nobody who sets the clock can move a deadline. */
function now(): Millis {
  return performance.timeOrigin + performance.now();
}

function relayAddressesOf({ relayAddress, loopback }: Config, log: Log): readonly RelayAddress[] {
  if (relayAddress.length > 0) return relayAddress;
  const { addresses, warnings } = detectRelayAddresses(loopback);
  for (const warning of warnings) log.warn(warning);
  return addresses;
}

/** What relays: a plane, and the machine that decides for it. */
interface Media {
  readonly plane: Dataplane;
  readonly listeners: readonly Listener[];
  /** Listeners that are there for NAT discovery only. */
  readonly further: readonly Listener[];
  readonly relayAddresses: readonly RelayAddress[];
  readonly certificates: Certificates | undefined;
  reload(): Promise<void>;
  stop(): Promise<void>;
}

async function openMedia(
  config: Config,
  relayAddresses: readonly RelayAddress[],
  moves: Moves,
  report: (fact: Fact) => void,
): Promise<Media> {
  const newSocketId = socketIds();
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
    hand: accounts.hand,
    report,
  };
  const listen = listenersOf(config, moves.log);
  const opened = openPlane(planeOptions, { ...config, listen }, moves);
  const { plane, listeners, squares, further } = await opened.catch((error) => {
    accounts.stop();
    throw error;
  });

  const peers = peerPolicy({
    ...config.peers,
    loopback: config.loopback,
    listeners: [
      ...[...listeners, ...further].flatMap((listener) => endpointsOf(listener, relayAddresses, machineAddresses())),
      ...squares.flatMap((square) => square.map(({ at }) => at)),
    ],
    relayAddresses: relayAddresses.flatMap(({ bind, external }) =>
      external === undefined ? [bind] : [bind, external],
    ),
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
    rates: config.rate,
    replyRate: config.replyBudget,
    nonceSecret: randomBytes(32),
    newSocketId,
    squares,
  });
  const loop = new Loop({
    machine,
    now,
    perform: (action) => (action.do === "ask" ? accounts.ask(action) : plane.perform(action)),
    fault: (error) => moves.log.fact({ fact: "fault-of-ours", error }),
  });
  mind = { peers, loop };
  const watch = certificates && watchCertificates(certificates, moves.log, now);

  return {
    plane,
    listeners,
    further,
    relayAddresses,
    certificates,
    async reload() {
      await watch?.reload();
      await accounts.reload();
    },
    async stop() {
      watch?.stop();
      accounts.stop();
      loop.stop();
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
  const hasIpv6 = machineAddresses().some((address) => familyOf(address) === 6);
  const [possible, impossible] = hasIpv6
    ? [listen, []]
    : [listen.filter(({ at }) => at.address !== "::"), listen.filter(({ at }) => at.address === "::")];
  for (const { transport, at } of impossible) {
    log.warn(`this machine has no IPv6: not listening on ${transport} ${endpointText(at)}`);
  }
  if (possible.length === 0) throw new Unavailable("nothing to listen on: this machine has no IPv6");
  return possible;
}

function openPlane(
  options: StreamingPlaneOptions,
  { dataplane, listen, natDiscovery, rate }: Pick<Config, "dataplane" | "listen" | "natDiscovery" | "rate">,
  moves: Moves,
): Promise<Squares & { plane: Dataplane; listeners: Listener[] }> {
  const ports = [...new Set(listen.map(({ at }) => at.port))];
  return onFreePort(`port ${ports.join(" or ")}`, moves, async (offset) => {
    // With two addresses, where an answer comes from and what it names is for the machine to say.
    const answersBinding = natDiscovery === undefined && options.mayEnter === undefined;
    const limitsTraffic = Object.keys(rate).length > 0;
    const { plane, whyNoBetter } = choosePlane(dataplane, options, { answersBinding, limitsTraffic });
    try {
      const listeners: Listener[] = [];
      for (const { transport, at } of listen)
        listeners.push(...asMet(transport, await plane.listen(transport, moved(at, offset))));
      if (whyNoBetter !== undefined) moves.log.info(`the ${plane.name} dataplane serves: ${whyNoBetter}`);
      if (!natDiscovery) return { plane, listeners, squares: [], further: [] };
      const { alternateAddress, alternatePort } = natDiscovery;
      const wanted = { alternateAddress, alternatePort: movedPort(alternatePort, offset) };
      return { plane, listeners, ...(await openSquares(plane, listeners, wanted, options.relayAddresses)) };
    } catch (error) {
      await plane.close();
      throw error;
    }
  });
}

interface Moves {
  readonly most: number;
  readonly log: Log;
}

/** Opens at an offset of 0, or where that is taken, of 1, 2 and so on. */
async function onFreePort<Opened>(
  asked: string,
  { most, log }: Moves,
  open: (offset: number) => Promise<Opened>,
): Promise<Opened> {
  for (let offset = 0; ; offset += 1) {
    try {
      const opened = await open(offset);
      if (offset > 0) log.warn(`${asked} is taken: listening ${offset} higher`);
      return opened;
    } catch (error) {
      if (offset === most || !isTaken(error)) throw error;
    }
  }
}

function isTaken(error: unknown): boolean {
  const cause = error instanceof Unavailable ? error.cause : undefined;
  return cause instanceof Error && "code" in cause && cause.code === "EADDRINUSE";
}

function moved({ address, port }: Endpoint, offset: number): Endpoint {
  return { address, port: movedPort(port, offset) };
}

function movedPort(port: number, offset: number): number {
  return port === 0 ? 0 : port + offset;
}

interface Admin extends AdminServer {
  readonly metrics: Metrics;
}

interface AdminParts {
  readonly media: Media;
  readonly componentState: () => string | undefined;
  readonly moves: Moves;
  readonly isReady: () => boolean;
}

const componentStates: readonly string[] = ["connecting", "online", "offline", "refused"] satisfies Health["state"][];

async function openAdmin(
  config: Config,
  { media, componentState, moves, isReady }: AdminParts,
): Promise<Admin | undefined> {
  const { metrics: at } = config;
  if (at === "none") return undefined;
  const { plane, listeners } = media;
  const metrics = openMetrics({
    version: version(),
    plane: plane.name,
    counters: () => plane.counters(),
    component: config.xmpp && { states: componentStates, state: () => componentState() ?? "" },
  });
  const readiness = () => ({
    isReady: isReady(),
    lines: [`listeners ${listeners.length}`, `component ${componentState() ?? "none"}`],
  });
  const server = await onFreePort(`metrics port ${at.port}`, moves, (offset) =>
    startAdmin({ at: moved(at, offset), metrics, readiness }),
  );
  return { ...server, metrics };
}

interface ComponentParts {
  readonly media: Media;
  readonly log: Log;
  readonly metrics: Metrics | undefined;
}

function openComponent(config: Config, xmpp: Xmpp, { media, log, metrics }: ComponentParts): Component {
  const [secret] = config.secret;
  assert(secret !== undefined, "an XMPP component needs a shared secret to make credentials with");
  const { service, domain, domains, credentialLifetimeSeconds } = xmpp;
  return startComponent({
    service,
    domain,
    secret: xmpp.secret,
    ...(domains.length > 0 ? { domains } : {}),
    services: servicesOf(offeredDoors(media, xmpp.host)).filter(({ type }) => config.relay || type === "stun"),
    allowPrivate: xmpp.offerPrivate || config.loopback,
    // The same from start to start, so that quotas and logs know a user again; and of no use for anything else.
    userKey: createHmac("sha256", secret).update("users of the XMPP component").digest(),
    mint: (user, at) => {
      const untilSeconds = Math.floor(at / 1000) + credentialLifetimeSeconds;
      return { ...mintCredential(secret, user, untilSeconds), expires: untilSeconds * 1000 };
    },
    version: version(),
    report: (fact) => {
      metrics?.countXmpp(fact);
      log.fact(fact);
    },
    now,
  });
}

/** Under one name, also a listener of a family that we do not relay in. */
function offeredDoors({ listeners, relayAddresses, certificates }: Media, host: string | undefined): Door[] {
  if (host === undefined) return doorsOf(listeners, relayAddresses, certifiedHost(certificates));
  return listeners.map(({ transport, at }) => ({ transport, host, port: at.port }));
}

function announce(
  config: Config,
  { plane, listeners, further, relayAddresses }: Media,
  admin: Admin | undefined,
  log: Log,
): void {
  for (const { transport, at } of listeners) log.info("listening", { transport, at: endpointText(at) });
  for (const { at } of further) log.info("NAT discovery", { at: endpointText(at) });
  if (!config.relay) log.info("answering STUN only", { dataplane: plane.name });
  for (const { bind, external } of config.relay ? relayAddresses : []) {
    log.info("relaying", { bind, external, ports: config.relayPorts.join("-"), dataplane: plane.name });
  }
  if (admin) log.info("metrics", { at: endpointText(admin.at) });
  if (config.loopback)
    log.warn("LOOPBACK PEERS ARE ALLOWED: clients reach every UDP service of this machine. For a try-out only.");
}
