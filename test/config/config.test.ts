// The configuration: every mistake at once and in its place, secrets from elsewhere, and a reference that is complete.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { type Config, type ConfigSources, readConfig } from "../../src/config/config.ts";
import { ConfigError, keysAt } from "../../src/config/mistakes.ts";
import { configSchema } from "../../src/config/schema.ts";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sluice-config-"));
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

function read(text: string, sources: ConfigSources = {}): Config {
  const file = join(folder, "sluice.yaml");
  writeFileSync(file, text);
  return readConfig({ file, env: {}, ...sources });
}

/** As `line:column path: message`, without the file. */
function mistakesOf(text: string, sources: ConfigSources = {}): string[] {
  try {
    read(text, sources);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.mistakes.map(({ line, column, path, message }) => `${line}:${column} ${path}: ${message}`);
  }
  return [];
}

const tokenKey = Buffer.alloc(32, 1).toString("base64");

describe("a configuration", () => {
  test("is whole without a file", () => {
    const config = readConfig({ env: {} });
    expect(config.realm).toBe("sluice");
    expect(config.listen).toContainEqual({ transport: "udp", at: { address: "::", port: 3478 } });
    expect(config.user.size).toBe(0);
    expect(config.secret).toEqual([]);
    expect(config.loopback).toBe(false);
  });

  test("has keys for tokens that are as long as their cipher wants, and says nothing of one that is not", () => {
    const oauth = (key: string) => `oauth: { server-name: Relay.example.org, keys: [${key}] }`;
    const key = { kid: "north", key: Buffer.alloc(32, 1), algorithm: "A256GCM" };
    expect(read(oauth(`{ kid: north, key: "${tokenKey}" }`)).oauth).toEqual({
      serverName: "relay.example.org",
      keys: [{ ...key, from: 0, until: Number.POSITIVE_INFINITY }],
    });
    const limited = read(oauth(`{ kid: north, key: "${tokenKey}", not-before: 100, lifetime-seconds: 50 }`));
    expect(limited.oauth?.keys).toEqual([{ ...key, from: 100_000, until: 150_000 }]);
    const mistakes = mistakesOf(
      [
        "oauth:",
        "  server-name: relay.example.org",
        "  keys:",
        `    - { kid: a, key: "${tokenKey}", algorithm: A128GCM }`,
        "    - { kid: b, key: c2hvcnQ= }",
        `    - { kid: c, key: "${tokenKey.slice(1)}!" }`,
      ].join("\n"),
    );
    expect(mistakes).toEqual([
      "4:22 oauth.keys.0.key: expected 16 bytes in base64, for A128GCM",
      "5:22 oauth.keys.1.key: expected 32 bytes in base64, for A256GCM",
      "6:22 oauth.keys.2.key: expected 32 bytes in base64, for A256GCM",
    ]);
    expect(mistakesOf(oauth(""))).toEqual([expect.stringContaining("expected at least one")]);
    const twice = `{ kid: a, key: "${tokenKey}" }`;
    expect(mistakesOf(oauth(`${twice}, ${twice}`))).toEqual([expect.stringContaining("a stands here twice")]);
  });

  test("is read into what the rooms take", () => {
    const config = read(`
listen: [udp://127.0.0.1:0, "tcp://[::1]:3478"]
relay-ports: 50000-50010
relay-address:
  - { bind: 10.0.0.5, external: 203.0.113.5 }
  - { bind: "2001:db8::5", external: ["stun:stun.example.org:3478", "stun:[2001:db8::1]:3478"] }
metrics: none
peers: { allow: [10.0.0.0/8], deny: ["2001:db8::/32"], deny-ports: [53, 1-1023] }
quota: { allocations-per-user: 3 }
alternate-servers: { servers: { at: [udp://192.0.2.2:3478, any://192.0.2.2:443], name: Relay2.example.org } }
rate: { per-user: { bits-per-second: 8000 }, in-total: { packets-per-second: 100 } }
xmpp: { domain: Relay.Example.org, secret: s, service: "xmpp://[::1]:5347", credential-lifetime-seconds: 600 }
`);
    expect(config.listen).toEqual([
      { transport: "udp", at: { address: "127.0.0.1", port: 0 } },
      { transport: "tcp", at: { address: "::1", port: 3478 } },
    ]);
    expect(config.relayPorts).toEqual([50000, 50010]);
    expect(config.relayAddress).toEqual([
      { bind: "10.0.0.5", external: "203.0.113.5" },
      {
        bind: "2001:db8::5",
        external: [
          { host: "stun.example.org", port: 3478 },
          { host: "2001:db8::1", port: 3478 },
        ],
      },
    ]);
    expect(config.metrics).toBe("none");
    const at = [
      { transport: "udp", at: { address: "192.0.2.2", port: 3478 } },
      { transport: "tcp", at: { address: "192.0.2.2", port: 443 } },
      { transport: "tls", at: { address: "192.0.2.2", port: 443 } },
    ];
    expect(config.alternateServers).toEqual({
      when: "full",
      servers: [{ at, name: "relay2.example.org", weight: 1 }],
    });
    const denyPorts = [
      [53, 53],
      [1, 1023],
    ];
    expect(config.peers).toEqual({ allow: ["10.0.0.0/8"], deny: ["2001:db8::/32"], denyPorts });
    expect(config.quota).toMatchObject({ allocationsPerUser: 3, allocations: 10_000 });
    expect(config.rate).toEqual({ perUser: { bitsPerSecond: 8000 }, inTotal: { packetsPerSecond: 100 } });
    expect(config.xmpp).toEqual({
      service: "xmpp://[::1]:5347",
      domain: "relay.example.org",
      secret: "s",
      domains: [],
      offerPrivate: false,
      offer: new Map(),
      credentialLifetimeSeconds: 600,
      administrators: [],
      contact: { abuse: [], admin: [], feedback: [], sales: [], security: [], status: [], support: [] },
      rate: { stanzasPerSecond: 50, burst: 200 },
      whenRefused: "retry",
    });
  });

  test("has offers by domain in lower case, and contacts as one or several", () => {
    const { xmpp } = read(`xmpp:
  domain: relay.example.org
  secret: s
  offer: { Example.ORG: [{ type: turns, port: 443 }, { family: ipv6 }] }
  administrators: [Admin@example.org, "d'artagnan@example.org"]
  contact: { admin: "xmpp:admin@example.org", abuse: ["mailto:abuse@example.org", "xmpp:abuse@example.org"] }
`);
    expect(xmpp?.offer).toEqual(new Map([["example.org", [{ type: "turns", port: 443 }, { family: "ipv6" }]]]));
    expect(xmpp?.administrators).toEqual(["admin@example.org", "d\\27artagnan@example.org"]);
    expect(xmpp?.contact).toMatchObject({
      admin: ["xmpp:admin@example.org"],
      abuse: ["mailto:abuse@example.org", "xmpp:abuse@example.org"],
    });
  });

  test("takes flags over the file", () => {
    const config = read("realm: file\nsecret: of-the-file\n", { flags: { realm: "flag" } });
    expect(config.realm).toBe("flag");
    expect(config.secret).toEqual(["of-the-file"]);
  });

  test("counts a key without a value as left out", () => {
    expect(read("realm:\nquota:\npeers:\n  allow:\n")).toEqual(readConfig({ env: {} }));
  });
});

describe("mistakes", () => {
  test("are reported all at once, each with its line and column", () => {
    const text = `listen:
  - udp://127.0.0.1:3478
  - http://127.0.0.1:3478
relm: x
user:
  "a:b": secret
  bob: 123
relay-address: [0.0.0.0, "::2", { bind: 192.0.2.2, external: "2001:db8::1" }]
relay-ports: 60000-50000
loopback: perhaps
peers:
  allow: [10.0.0.0/33, 10.0.0.1/8]
  denny: []
quota: { channels-per-allocatoin: 3, allocations: none }
xmpp: { service: "http://x" }
log: loud
`;
    expect(mistakesOf(text)).toEqual([
      "3:5 listen.1: expected udp://, tcp://, tls://, dtls:// or any://ADDRESS:PORT, an IPv6 address in brackets",
      "4:1 relm: unknown key; did you mean realm?",
      "6:3 user.a:b: expected a name without a colon, of at most 508 bytes",
      "7:8 user.bob: expected a text (a number in quotes), { env: NAME } or { file: PATH }",
      "8:17 relay-address.0: expected one address, not all of them",
      "8:33 relay-address.2: bind and external are not of one family",
      "8:33 relay-address.2: an IPv4 address stands here twice",
      "9:14 relay-ports: expected FIRST-LAST, two ports from 1024 to 65535",
      "10:11 loopback: expected boolean, received string",
      "12:11 peers.allow.0: expected a network such as 192.0.2.0/24 or 2001:db8::/32, no bits set after the prefix",
      "12:24 peers.allow.1: expected a network such as 192.0.2.0/24 or 2001:db8::/32, no bits set after the prefix",
      "13:3 peers.denny: unknown key; did you mean deny?",
      "14:10 quota.channels-per-allocatoin: unknown key; did you mean channels-per-allocation?",
      "14:51 quota.allocations: expected number, received string",
      "15:7 xmpp.domain: is missing",
      "15:7 xmpp.secret: is missing",
      "15:18 xmpp.service: expected xmpp://HOST:PORT",
      "16:6 log: expected a map of keys, received string",
    ]);
  });

  test("of flags stand beside those of the file", () => {
    expect(mistakesOf("realm: 3\n", { flags: { metrics: "here", listen: ["udp://nowhere:1"] } })).toEqual([
      "1:8 realm: expected string, received number",
      "0:0 --listen: expected udp://, tcp://, tls://, dtls:// or any://ADDRESS:PORT, an IPv6 address in brackets",
      "0:0 --metrics: expected http://ADDRESS:PORT, an IPv6 address in brackets, or none",
    ]);
  });

  test("in a value that a flag replaces are reported all the same", () => {
    expect(mistakesOf("realm: 3\n", { flags: { realm: "fine" } })).toHaveLength(1);
  });

  test("name the file, line and column in one readable line each", () => {
    const file = join(folder, "sluice.yaml");
    writeFileSync(file, "realm: 3\nx: 1\n");
    expect(() => readConfig({ file })).toThrow(
      `${file}:1:8: realm: expected string, received number\n${file}:2:1: x: unknown key`,
    );
  });

  test("of YAML have a place too", () => {
    expect(mistakesOf("realm: a\nsecret: [b\n")).toEqual([expect.stringMatching(/^3:1 : .*flow/i)]);
    expect(mistakesOf("realm: a\nrealm: b\nlop: 1\n")).toEqual([
      expect.stringMatching(/^2:1 : .*unique/),
      "3:1 lop: unknown key; did you mean log?",
    ]);
    expect(mistakesOf("- a\n")).toEqual(["1:1 : expected a map of keys"]);
  });

  test.each(["*nowhere", "&a [*a]"])("show in %s instead of crashing", (value) => {
    expect(mistakesOf(`realm: ${value}\n`)).toHaveLength(1);
  });

  test("tell of a file that is not there", () => {
    expect(() => readConfig({ file: join(folder, "nothing.yaml") })).toThrow(ConfigError);
  });

  test.each([
    ["listen: [udp://127.0.0.1:3478, udp://127.0.0.1:3478]", "udp 127.0.0.1 3478 stands here twice"],
    ["listen: [tls://127.0.0.1:5349]", "1:10 listen.0: needs a certificate: see tls"],
    ["tls: { certificate: a }", "tls.0.key: is missing"],
    ["tls: { certificate: a, key: b, names: ['a b'] }", "expected a DNS name"],
    ["{ listen: [tls://0.0.0.0:1], tls: { certificate: a, key: b } }", "cannot use the certificate: ENOENT"],
    ["listen: [any://127.0.0.1:443]", "1:10 listen.0: needs a certificate: see tls"],
    ["listen: [dtls://127.0.0.1:5349]", "1:10 listen.0: needs a certificate: see tls"],
    ["foreign-tls: 127.0.0.1", "expected HOST:PORT"],
    ["proxy-protocol: { trusted: [10.0.0.1/8] }", "expected a network such as"],
    ["relay-address: [192.0.2.1, 192.0.2.2]", "an IPv4 address stands here twice"],
    ["peers: { deny-ports: [0] }", "1:23 peers.deny-ports.0: expected a port, or FIRST-LAST"],
    ["peers: { deny-ports: [1023-1] }", "expected a port, or FIRST-LAST"],
    ["listen: []", "expected at least one"],
    ["alternate-servers: { servers: { at: [] } }", "alternate-servers.servers.0.at: expected at least one"],
    [
      "alternate-servers: { servers: { at: udp://0.0.0.0:1 } }",
      "expected udp://, tcp://, tls://, dtls:// or any://ADDRESS",
    ],
    ["alternate-servers: { servers: { at: tls://192.0.2.2:1, name: '*.example.org' } }", "expected a DNS name"],
    ["alternate-servers: { servers: [{ at: udp://192.0.2.2:1, weight: 0 }] }", "weight: "],
    ["listen: [udp://::1:3478]", "in brackets"],
    ['listen: ["udp://[fe80::1]:3478"]', "a link-local IPv6 address means nothing without its zone"],
    ['listen: ["udp://[fe80::1%eth0]:3478"]', "a link-local IPv6 address means nothing without its zone"],
    ['relay-address: "FE80::1"', "a link-local IPv6 address"],
    ['relay-address: { bind: "fe80::1%eth0", external: 192.0.2.1 }', "relay-address.0.bind: a link-local IPv6 address"],
    ["relay-address: { bind: 10.0.0.5, external: 'stun:' }", "expected an address, stun:HOST:PORT, or a list"],
    ["relay-address: { bind: 10.0.0.5, external: [] }", "expected an address, stun:HOST:PORT, or a list"],
    ["relay-address: { bind: 10.0.0.5, external: 5 }", "expected an address, stun:HOST:PORT, or a list"],
    ["relay-address: { bind: 10.0.0.5, external: '2001:db8::1' }", "bind and external are not of one family"],
    ["drain: { on-sigterm: wait }", "drain.on-sigterm: "],
    ['listen: ["udp://[127.0.0.1]:3478"]', "in brackets"],
    ["listen: [udp://127.0.0.1:65536]", "in brackets"],
    ["listen: [udp://127.0.0.01:3478]", "in brackets"],
    ["relay-ports: 80-90", "1024"],
    ["threads: 0", ">=1"],
    ["dataplane: warp", '"auto"|"native"|"portable"'],
    ["secret: ''", "the secret is empty"],
    ["user: { alice: '' }", "the secret is empty"],
    ["xmpp: { domain: a@b, secret: s }", "expected a domain"],
    ["xmpp: { domain: a, secret: s, host: 'turn:x' }", "expected a host name"],
    ["xmpp: { domain: a, secret: s, administrators: [a@b/phone] }", "expected a JID without a resource"],
    ["xmpp: { domain: a, secret: s, proxy65: { listen: [] } }", "names no place"],
    ["xmpp: { domain: a, secret: s, administrators: [b] }", "expected a JID without a resource"],
    ["xmpp: { domain: a, secret: s, offer: { b: [{ transport: sctp }] } }", '"udp"|"tcp"'],
    ["xmpp: { domain: a, secret: s, contact: { admin: root } }", "expected a URI"],
    ["xmpp: { domain: a, secret: s, when-refused: cry }", '"retry"|"exit"'],
    ["auth-hook: { url: 'ftp://x' }", "expected an http or https URL"],
    ["auth-hook: { url: 'http://a:b@x' }", "expected an http or https URL without name and password"],
    ["credentials-http: { listen: none, key: k }", "expected http://ADDRESS:PORT"],
    ["credentials-http: { listen: http://127.0.0.1:1 }", "credentials-http.key: is missing"],
    ["nat-discovery: { alternate-address: 192.0.2.2 }", "needs a udp listener at one other IPv4 address"],
    [
      "{ listen: [udp://192.0.2.2:1], nat-discovery: { alternate-address: 192.0.2.2 } }",
      "needs a udp listener at one other IPv4 address",
    ],
    [
      "{ listen: [udp://192.0.2.1:1], nat-discovery: { alternate-address: 192.0.2.2, alternate-port: 1 } }",
      "expected another port than the listener's",
    ],
    [
      '{ listen: [udp://192.0.2.1:1], nat-discovery: { alternate-address: "2001:db8::2" } }',
      "needs a udp listener at one other IPv6 address",
    ],
    ["{ listen: [udp://192.0.2.1:1], nat-discovery: { alternate-address: [] } }", "expected at least one"],
  ])("%s", (text, message) => {
    expect(mistakesOf(text)).toEqual([expect.stringContaining(message)]);
  });
});

describe("a secret", () => {
  test("may come from the environment", () => {
    const config = read("secret: [{ env: RELAY_SECRET }, literal]\n", { env: { RELAY_SECRET: "hidden" } });
    expect(config.secret).toEqual(["hidden", "literal"]);
  });

  test("may come from a file beside the configuration, without its last line end", () => {
    writeFileSync(join(folder, "bob"), "pass word\n");
    expect(read("user: { bob: { file: bob } }\n").user).toEqual(new Map([["bob", "pass word"]]));
  });

  test("that is not to be had is a mistake that names the place, not the secret", () => {
    expect(mistakesOf("secret: { env: NOBODY }\nuser: { bob: { file: nothing } }\n")).toEqual([
      "1:9 secret.0: the environment has no NOBODY",
      expect.stringMatching(/^2:14 user.bob: cannot read the secret: ENOENT/),
    ]);
  });

  test("is never repeated in a mistake", () => {
    const found = mistakesOf(
      "secret: [{ env: A, file: hunter2 }]\nxmpp: { secret: hunter2 }\nuser: { 'x:y': hunter2 }\n",
    );
    expect(found).toHaveLength(3);
    expect(found.join()).not.toContain("hunter2");
  });
});

describe("config/sluice.yaml", () => {
  const reference = fileURLToPath(new URL("../../config/sluice.yaml", import.meta.url));
  const env = {
    BOB_PASSWORD: "b",
    COMPONENT_SECRET: "c",
    CREDENTIALS_KEY: "k",
    AUTH_HOOK_KEY: "h",
    OAUTH_KEY: tokenKey,
  };
  /** With the keys that have no default: `#key` and, within their sections, `#  key`. */
  const uncommented = readFileSync(reference, "utf8").replace(/^#(?! \S|$)/gm, "");

  test("has every key with a default at its default", () => {
    expect(readConfig({ file: reference, env: {} })).toEqual(readConfig({ env: {} }));
  });

  test("has every key", () => {
    const schema = configSchema({ env, folder });
    const shown: unknown = parse(uncommented);
    const isContent = (path: string) =>
      /^(user|xmpp\.secret|credentials-http\.key|auth-hook\.key|oauth\.keys\.key)\./.test(path);
    expect(keyPaths(shown).filter((path) => !isContent(path))).toEqual(schemaPaths(schema, []));
  });

  test("has examples that are accepted, and defaults within the sections that have none", () => {
    const listen = ["udp://192.0.2.1:3478"];
    const { xmpp, natDiscovery, credentialsHttp, authHook } = read(uncommented, { env, flags: { listen } });
    const least = read(
      [
        "xmpp: { domain: relay.example.org, secret: c, relay-nodes: {}, proxy65: {} }",
        "nat-discovery: { alternate-address: 192.0.2.2 }",
        "credentials-http: { listen: http://127.0.0.1:9642, key: k }",
        "auth-hook: { url: https://accounts.example.org/turn }",
      ].join("\n"),
      {
        flags: { listen },
      },
    );
    expect(xmpp).toEqual({ ...least.xmpp, host: "relay.example.org" });
    expect(natDiscovery).toEqual(least.natDiscovery);
    expect(authHook).toEqual({ ...least.authHook, key: "h" });
    expect(credentialsHttp).toEqual({ ...least.credentialsHttp, host: "relay.example.org" });
  });

  function schemaPaths(schema: ReturnType<typeof configSchema>, path: readonly string[]): string[] {
    return keysAt(schema, path)
      .flatMap((key) => [[...path, key].join("."), ...schemaPaths(schema, [...path, key])])
      .sort();
  }

  function keyPaths(value: unknown, path: readonly string[] = []): string[] {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return [];
    return Object.entries(value)
      .flatMap(([key, inner]) => [[...path, key].join("."), ...keyPaths(inner, [...path, key])])
      .sort();
  }
});
