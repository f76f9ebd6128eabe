// What the operator decides: one YAML file and the flags of the command line become a plain `Config`, or a list of
// every mistake in them with its line and column. config/sluice.yaml shows all keys; schema.ts holds the defaults.

import { dirname } from "node:path";
import type { LogOptions } from "../admin/log.ts";
import type { Endpoint, ListenerKind, RelayAddress } from "../contract.ts";
import type { CertificateFiles } from "../dataplane/certificates.ts";
import type { PlaneName } from "../dataplane/choose.ts";
import type { Backend } from "../dataplane/splices.ts";
import type { StunServer } from "../discover/external-address.ts";
import type { ChannelLimits } from "../jingle/relay-channels.ts";
import type { ProxyLimits } from "../socks5/bytestreams-proxy.ts";
import type { AccessTokensOptions } from "../turn/access-tokens.ts";
import type { AlternateServer, RedirectWhen } from "../turn/alternates.ts";
import type { AskedUsersOptions } from "../turn/asked-users.ts";
import type { ClientNetworks } from "../turn/client-policy.ts";
import type { Limits } from "../turn/limits.ts";
import type { PeerPolicyOptions } from "../turn/peer-policy.ts";
import type { Rates } from "../turn/rates.ts";
import type { ReplyRate } from "../turn/reply-budget.ts";
import type { ServiceOffers } from "../xmpp/service-offers.ts";
import type { ContactAddresses } from "../xmpp/xep0157-contact-addresses.ts";
import { certificateMistakes } from "./certificates.ts";
import { ConfigError, mistakesIn, type Path } from "./mistakes.ts";
import { natDiscoveryMistakes } from "./nat-discovery.ts";
import { configSchema } from "./schema.ts";
import { readYamlFile } from "./yaml-file.ts";

export interface Config {
  readonly listen: readonly Listen[];
  /** What TLS clients are shown: the first to who asks for no name. */
  readonly tls: readonly CertificateFiles[];
  /** Who takes TLS that is not for us, on listeners for any stream. */
  readonly foreignTls?: Backend;
  /** Networks of proxies that say first whose connection it is. */
  readonly proxyProtocol: { readonly trusted: readonly string[] };
  readonly clients: ClientNetworks;
  /** Static users: passwords by name. */
  readonly user: ReadonlyMap<string, string>;
  /** Path of a file of more users, with hashed passwords. */
  readonly usersFile?: string;
  /** Shared secrets for credentials with an expiry date. The first one signs, all are accepted. */
  readonly secret: readonly string[];
  readonly realm: string;
  /** False for STUN without TURN. */
  readonly relay: boolean;
  /** Whether there are TCP allocations (RFC 6062). */
  readonly relayTcp: boolean;
  /** Whether clients may take their allocations along to another address. */
  readonly mobility: boolean;
  /** Whose tokens let clients in (RFC 7635). */
  readonly oauth?: AccessTokensOptions;
  /** At most one a family. None: what this machine has. */
  readonly relayAddress: readonly ConfiguredRelayAddress[];
  /** How often STUN servers are asked what the external address is. */
  readonly externalCheckSeconds: number;
  /** First and last, both included. */
  readonly relayPorts: readonly [first: number, last: number];
  readonly dataplane: PlaneName;
  /** Of the native plane. Not given: one a core. */
  readonly threads?: number;
  readonly metrics: Endpoint | "none";
  readonly loopback: boolean;
  /** Networks, in CIDR notation. */
  readonly peers: Required<Pick<PeerPolicyOptions, "allow" | "deny" | "denyPorts">>;
  readonly quota: Limits;
  readonly rate: Rates;
  readonly replyBudget: ReplyRate;
  /** Who may be named to clients that we do not serve. */
  readonly alternateServers: { readonly when: RedirectWhen; readonly servers: readonly AlternateServer[] };
  readonly drain: { readonly onSigterm: "stop" | "drain"; readonly secondsAtMost: number };
  readonly natDiscovery?: NatDiscovery;
  readonly authHook?: AuthHookConfig;
  readonly credentialsHttp?: CredentialsHttp;
  readonly xmpp?: Xmpp;
  readonly log: LogOptions;
  /** The folder for what must outlive the process. */
  readonly state?: string;
}

export interface ConfiguredRelayAddress {
  readonly bind: string;
  /** The address that peers see, or STUN servers that know it. */
  readonly external?: string | readonly StunServer[];
}

export interface Listen {
  readonly transport: ListenerKind;
  readonly at: Endpoint;
}

/** With a UDP listener at one address of the same family, this makes two addresses with two ports each (RFC 5780). */
export interface NatDiscovery {
  /** At most one a family. */
  readonly alternateAddress: readonly RelayAddress[];
  readonly alternatePort: number;
}

export interface AuthHookConfig {
  readonly url: string;
  /** What we show to it. */
  readonly key?: string;
  readonly deadlineMilliseconds: number;
  readonly questionsAtOnce: number;
  readonly cache: AskedUsersOptions;
}

export interface CredentialsHttp {
  readonly listen: Endpoint;
  /** What callers must show. */
  readonly key: string;
  /** What clients are told to connect to. None: the addresses we listen on. */
  readonly host?: string;
  readonly credentialLifetimeSeconds: number;
}

export interface Proxy65 {
  readonly listen: readonly Endpoint[];
  readonly quota: ProxyLimits;
}

export interface Xmpp {
  /** Where file transfers are proxied (XEP-0065), if they are. */
  readonly proxy65?: Proxy65;
  /** Where the XMPP server takes component connections: `xmpp://host:port`. */
  readonly service: string;
  readonly domain: string;
  readonly secret: string;
  /** Whose users get credentials, in lower case. None: the domain above the component's own. */
  readonly domains: readonly string[];
  /** What clients are told to connect to. None: the addresses we listen on. */
  readonly host?: string;
  /** Bare JIDs, in lower case, whose owners may run every command of the console. */
  readonly administrators: readonly string[];
  /** Channels of XEP-0278; none without it. */
  readonly relayNodes?: ChannelLimits;
  /** Offer loopback and private addresses, too. */
  readonly offerPrivate: boolean;
  /** Which of the services users of a domain are told of. */
  readonly offer: ServiceOffers;
  readonly credentialLifetimeSeconds: number;
  readonly contact: ContactAddresses;
  /** What one account may ask for. */
  readonly rate: { readonly stanzasPerSecond: number; readonly burst: number };
  /** What becomes of the relay when the server refuses the component. */
  readonly whenRefused: "retry" | "exit";
}

export interface ConfigSources {
  readonly file?: string | undefined;
  /** By key of the file; each takes the place of the file's value. */
  readonly flags?: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** Throws `ConfigError`. Reads the file, the environment and the secret files that it names. */
export function readConfig({ file, flags = {}, env = process.env }: ConfigSources): Config {
  const written = file === undefined ? undefined : readYamlFile(file);
  const schema = configSchema({ env, folder: file === undefined ? "." : dirname(file) });
  const mistakes = [
    ...(written?.mistakes ?? []),
    ...(written ? mistakesIn(schema, written.value, written.locate) : []),
    ...mistakesIn(schema, flags, flagPlace),
  ];
  if (mistakes.length > 0) throw new ConfigError(mistakes);
  const config = schema.parse({ ...written?.value, ...flags });
  const locate = written?.locate ?? flagPlace;
  const conflicts = [...certificateMistakes(config), ...natDiscoveryMistakes(config), ...proxyMistakes(config)].map(
    ({ path, message }) => ({
      ...locate(path, "value"),
      message,
    }),
  );
  if (conflicts.length > 0) throw new ConfigError(conflicts);
  return config;
}

/** A proxy that nobody can get at. */
function proxyMistakes({ listen, xmpp }: Config) {
  if (!xmpp?.proxy65 || xmpp.proxy65.listen.length > 0 || listen.some(({ transport }) => transport === "any"))
    return [];
  return [{ path: ["xmpp", "proxy65", "listen"], message: "names no place, and `listen` has none of kind any://" }];
}

function flagPlace(path: Path) {
  return { line: 0, column: 0, path: `--${String(path[0])}` };
}
