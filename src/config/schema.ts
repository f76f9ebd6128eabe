// Every key of the configuration, what it may hold, and its default: the one place of them.

import { z } from "zod";
import { familyOf } from "../contract.ts";
import { mostThreads } from "../dataplane/native-options.ts";
import type { StunServer } from "../discover/external-address.ts";
import { defaultProxyLimits } from "../socks5/bytestreams-proxy.ts";
import { defaultLimits } from "../turn/limits.ts";
import { defaultReplyRate } from "../turn/reply-budget.ts";
import { defaultRate } from "../xmpp/entity.ts";
import type { ServiceOffers } from "../xmpp/service-offers.ts";
import { tokenKey } from "./token-key.ts";
import {
  accountJid,
  alternateUrl,
  certifiedName,
  cidr,
  contactUri,
  domainName,
  externalAddress,
  filled,
  hostAndPort,
  hostName,
  httpUrl,
  ipAddress,
  listenUrl,
  metricsUrl,
  pathFrom,
  portRange,
  portSpan,
  realmName,
  type SecretSources,
  secretText,
  serverName,
  socks5Url,
  userName,
  webUrl,
  xmppService,
} from "./values.ts";

/** Reads the file's kebab-case keys into a camelCase value. `sources` are for the secrets that stand elsewhere. */
export function configSchema(sources: SecretSources) {
  const secret = secretText(sources);
  const path = pathFrom(sources.folder);
  return section({
    listen: z
      .array(listenUrl)
      .min(1, "expected at least one")
      .superRefine(
        eachOnce(({ transport, at }) => (at.port === 0 ? undefined : `${transport} ${at.address} ${at.port}`)),
      )
      .prefault(["udp://0.0.0.0:3478", "tcp://0.0.0.0:3478", "udp://[::]:3478", "tcp://[::]:3478"]),
    tls: oneOrMore(section({ certificate: path, key: path, names: z.array(serverName).prefault([]) })).prefault([]),
    "foreign-tls": hostAndPort.exactOptional(),
    "proxy-protocol": section({ trusted: z.array(cidr).prefault([]) }).prefault({}),
    clients: section({
      allow: z.array(cidr).prefault([]),
      deny: z.array(cidr).prefault([]),
    }).prefault({}),
    user: z
      .record(userName, secret)
      .transform((users): ReadonlyMap<string, string> => new Map(Object.entries(users)))
      .prefault({}),
    "users-file": path.exactOptional(),
    secret: oneOrMore(secret).prefault([]),
    realm: realmName.prefault("sluice"),
    relay: z.boolean().prefault(true),
    "relay-tcp": z.boolean().prefault(false),
    mobility: z.boolean().prefault(false),
    oauth: section({
      "server-name": hostName,
      keys: z
        .array(
          section({
            kid: userName,
            key: secret,
            algorithm: z.enum(["A256GCM", "A128GCM"]).prefault("A256GCM"),
            "not-before": z.int().min(0).exactOptional(),
            "lifetime-seconds": z.int().min(1).exactOptional(),
          }).transform(tokenKey),
        )
        .min(1, "expected at least one")
        .superRefine(eachOnce(({ kid }) => kid)),
    }).exactOptional(),
    "relay-address": oneOrMore(relayAddressToFind)
      .superRefine(eachOnce(({ bind }) => `an IPv${familyOf(bind)} address`))
      .prefault([]),
    "external-check-seconds": z.int().min(10).max(86_400).prefault(300),
    "relay-ports": portRange.prefault("49152-65535"),
    dataplane: z.enum(["auto", "native", "portable"]).prefault("auto"),
    threads: z.int().min(1).max(mostThreads).exactOptional(),
    metrics: metricsUrl.prefault("http://127.0.0.1:9641"),
    loopback: z.boolean().prefault(false),
    peers: section({
      allow: z.array(cidr).prefault([]),
      deny: z.array(cidr).prefault([]),
      "deny-ports": z.array(portSpan).prefault([53]),
    }).prefault({}),
    quota: section({
      allocations: limit.prefault(defaultLimits.allocations),
      "allocations-per-user": limit.prefault(defaultLimits.allocationsPerUser),
      "allocations-per-address": limit.prefault(defaultLimits.allocationsPerAddress),
      "permissions-per-allocation": limit.prefault(defaultLimits.permissionsPerAllocation),
      "channels-per-allocation": limit.prefault(defaultLimits.channelsPerAllocation),
      "peer-connections": limit.prefault(defaultLimits.peerConnections),
      "peer-connections-per-user": limit.prefault(defaultLimits.peerConnectionsPerUser),
      "peer-connections-per-allocation": limit.prefault(defaultLimits.peerConnectionsPerAllocation),
    }).prefault({}),
    rate: section({
      "per-allocation": rate.exactOptional(),
      "per-user": rate.exactOptional(),
      "in-total": rate.exactOptional(),
    }).prefault({}),
    "reply-budget": section({
      "replies-per-second": limit.prefault(defaultReplyRate.repliesPerSecond),
      burst: limit.prefault(defaultReplyRate.burst),
    }).prefault({}),
    "alternate-servers": section({
      when: z.enum(["draining", "full", "always"]).prefault("full"),
      servers: oneOrMore(alternateServer).prefault([]),
    }).prefault({}),
    drain: section({
      "on-sigterm": z.enum(["stop", "drain"]).prefault("stop"),
      "seconds-at-most": z.int().min(1).max(604_800).prefault(3600),
    }).prefault({}),
    "nat-discovery": section({
      "alternate-address": oneOrMore(relayAddress)
        .superRefine(eachOnce(({ bind }) => `an IPv${familyOf(bind)} address`))
        .refine((addresses) => addresses.length > 0, "expected at least one"),
      "alternate-port": z.int().min(0).max(65_535).prefault(3479),
    }).exactOptional(),
    "auth-hook": section({
      url: webUrl,
      key: secret.exactOptional(),
      "deadline-milliseconds": z.int().min(100).max(30_000).prefault(2000),
      "questions-at-once": z.int().min(1).max(256).prefault(16),
      cache: section({
        "names-at-most": limit.prefault(10_000),
        "user-seconds": z.int().min(1).max(86_400).prefault(300),
        "nobody-seconds": z.int().min(1).max(86_400).prefault(30),
      }).prefault({}),
    }).exactOptional(),
    "credentials-http": section({
      listen: httpUrl,
      key: secret,
      host: hostName.exactOptional(),
      "credential-lifetime-seconds": z.int().min(60).max(604_800).prefault(86_400),
    }).exactOptional(),
    xmpp: section({
      service: xmppService.prefault("xmpp://127.0.0.1:5347"),
      domain: domainName,
      secret,
      domains: z.array(domainName).prefault([]),
      host: hostName.exactOptional(),
      "offer-private": z.boolean().prefault(false),
      offer: z
        .record(domainName, z.array(servicePattern))
        .transform((offers): ServiceOffers => new Map(Object.entries(offers)))
        .prefault({}),
      "credential-lifetime-seconds": z.int().min(60).max(604_800).prefault(43_200),
      administrators: z.array(accountJid).prefault([]),
      "relay-nodes": section({
        channels: limit.prefault(100),
        "channels-per-user": limit.prefault(4),
        "kilobits-per-second": limit.prefault(2000),
      }).exactOptional(),
      contact: section({
        abuse: contactAddresses,
        admin: contactAddresses,
        feedback: contactAddresses,
        sales: contactAddresses,
        security: contactAddresses,
        status: contactAddresses,
        support: contactAddresses,
      }).prefault({}),
      rate: section({
        "stanzas-per-second": limit.prefault(defaultRate.perSecond),
        burst: limit.prefault(defaultRate.burst),
      }).prefault({}),
      proxy65: section({
        listen: z.array(socks5Url).prefault(["socks5://0.0.0.0:7777", "socks5://[::]:7777"]),
        quota: section({
          waiting: limit.prefault(defaultProxyLimits.waiting),
          "waiting-per-address": limit.prefault(defaultProxyLimits.waitingPerAddress),
          streams: limit.prefault(defaultProxyLimits.streams),
          "streams-per-user": limit.prefault(defaultProxyLimits.streamsPerUser),
          "bytes-per-second-per-user": limit.prefault(defaultProxyLimits.bytesPerSecondPerUser),
          "bytes-per-day-per-user": limit.prefault(defaultProxyLimits.bytesPerDayPerUser),
        }).prefault({}),
      }).exactOptional(),
      "when-refused": z.enum(["retry", "exit"]).prefault("retry"),
    }).exactOptional(),
    log: section({
      level: z.enum(["debug", "info", "warn", "error", "silent"]).prefault("info"),
      format: z.enum(["auto", "json", "pretty"]).prefault("auto"),
      addresses: z.enum(["masked", "shown"]).prefault("masked"),
    }).prefault({}),
    state: filled.exactOptional(),
  });
}

const limit = z.int().min(1);

const rate = section({ "bits-per-second": limit.exactOptional(), "packets-per-second": limit.exactOptional() });

const alternateServer = section({
  at: oneOrMore(alternateUrl)
    .refine((urls) => urls.length > 0, "expected at least one")
    .transform((urls) => urls.flat()),
  name: certifiedName.exactOptional(),
  weight: z.int().min(1).max(1000).prefault(1),
});

const relayAddress = relayAddressWith(ipAddress);
const relayAddressToFind = relayAddressWith(externalAddress);

function relayAddressWith<External extends z.ZodType<string | readonly StunServer[]>>(external: External) {
  return z.preprocess(
    (written) => (typeof written === "string" ? { bind: written } : written),
    z
      .strictObject({ bind: ipAddress, external: external.exactOptional() })
      .refine(({ bind }) => bind !== "0.0.0.0" && bind !== "::", "expected one address, not all of them")
      .refine(
        ({ bind, external }) => typeof external !== "string" || familyOf(external) === familyOf(bind),
        "bind and external are not of one family",
      ),
  );
}

const servicePattern = section({
  type: z.enum(["stun", "stuns", "turn", "turns"]).exactOptional(),
  transport: z.enum(["udp", "tcp"]).exactOptional(),
  port: z.int().min(1).max(65_535).exactOptional(),
  family: z.enum(["ipv4", "ipv6"]).exactOptional(),
});

const contactAddresses = oneOrMore(contactUri).prefault([]);

/** A map with these keys and no others. */
function section<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.strictObject(shape).transform((values) => {
    const entries = Object.entries(values).map(([key, value]) => [camelCase(key), value]);
    return Object.fromEntries(entries) as CamelCased<typeof values>;
  });
}

type CamelCased<Values> = { readonly [Key in keyof Values as CamelCase<Key & string>]: Values[Key] };
type CamelCase<Key extends string> = Key extends `${infer Head}-${infer Tail}`
  ? `${Head}${Capitalize<CamelCase<Tail>>}`
  : Key;

function camelCase(key: string): string {
  return key.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}

/** A list, or its only item by itself. */
function oneOrMore<Item extends z.ZodType>(item: Item) {
  return z.preprocess(
    (written) => (written === undefined || Array.isArray(written) ? written : [written]),
    z.array(item),
  );
}

/** Refuses a second item of one name. Items without a name may stand as often as they like. */
function eachOnce<Item>(nameOf: (item: Item) => string | undefined) {
  return (items: readonly Item[], context: z.RefinementCtx): void => {
    const seen = new Set<string>();
    for (const [index, item] of items.entries()) {
      const name = nameOf(item);
      if (name !== undefined && seen.has(name)) {
        context.addIssue({ code: "custom", path: [index], message: `${name} stands here twice` });
      }
      if (name !== undefined) seen.add(name);
    }
  };
}
