// The values of the configuration that are written as text, read into what the rooms take.

import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { z } from "zod";
import type { Endpoint, ListenerKind } from "../contract.ts";
import type { StunServer } from "../discover/external-address.ts";
import { parseEndpointUrl, readAddress } from "../stun/endpoint-url.ts";
import { reasonOf } from "../thrown.ts";
import { parseAlternateDoors } from "../turn/alternates.ts";
import { parseCidr } from "../turn/cidr.ts";
import type { PortSpan } from "../turn/peer-policy.ts";
import { bareJid } from "../xmpp/jid.ts";
import { accountTyped } from "../xmpp/xep0106-jid-escaping.ts";

/** Where secrets come from when they do not stand in the file. */
export interface SecretSources {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What relative paths start from. */
  readonly folder: string;
}

/** A text that `read` understands; it answers `undefined` for any other. */
function text<Value>(expected: string, read: (written: string) => Value | undefined) {
  return z.string().transform((written, context): Value => {
    const value = read(written);
    if (value !== undefined) return value;
    context.addIssue({ code: "custom", message: `expected ${expected}` });
    return z.NEVER;
  });
}

/** The same, of an address to bind. */
function boundAt<Value>(expected: string, read: (written: string) => Value | undefined) {
  const isLinkLocal = /(^|\[)fe[89ab][0-9a-f]:|%/i;
  const mistake = "a link-local IPv6 address means nothing without its zone, which is not known here: name another";
  return z
    .string()
    .refine((written) => !isLinkLocal.test(written), { error: mistake, abort: true })
    .pipe(text(expected, read));
}

export const listenUrl = boundAt(
  "udp://, tcp://, tls://, dtls:// or any://ADDRESS:PORT, an IPv6 address in brackets",
  (written): { transport: ListenerKind; at: Endpoint } | undefined => {
    const url = parseEndpointUrl(written);
    const transport = (["udp", "tcp", "tls", "dtls", "any"] as const).find((known) => known === url?.scheme);
    return url && transport ? { transport, at: url.at } : undefined;
  },
);

export const socks5Url = text("socks5://ADDRESS:PORT, an IPv6 address in brackets", (written): Endpoint | undefined => {
  const url = parseEndpointUrl(written);
  return url?.scheme === "socks5" ? url.at : undefined;
});

export const alternateUrl = text(
  "udp://, tcp://, tls://, dtls:// or any://ADDRESS:PORT of another server, an IPv6 address in brackets",
  parseAlternateDoors,
);

export const metricsUrl = boundAt(
  "http://ADDRESS:PORT, an IPv6 address in brackets, or none",
  (written): Endpoint | "none" | undefined => {
    if (written === "none") return written;
    const url = parseEndpointUrl(written);
    return url?.scheme === "http" ? url.at : undefined;
  },
);

export const httpUrl = boundAt("http://ADDRESS:PORT, an IPv6 address in brackets", (written): Endpoint | undefined => {
  const url = parseEndpointUrl(written);
  return url?.scheme === "http" ? url.at : undefined;
});

export const webUrl = text("an http or https URL without name and password", (written): string | undefined => {
  const url = URL.canParse(written) ? new URL(written) : undefined;
  return url && /^https?:$/.test(url.protocol) && url.username + url.password === "" ? url.href : undefined;
});

export const ipAddress = boundAt("an IPv4 or IPv6 address", readAddress);

export const cidr = text("a network such as 192.0.2.0/24 or 2001:db8::/32, no bits set after the prefix", (written) =>
  parseCidr(written) ? written : undefined,
);

export const portRange = text(
  "FIRST-LAST, two ports from 1024 to 65535",
  (written): readonly [number, number] | undefined => {
    const [first, last] = (/^(\d{1,5})-(\d{1,5})$/.exec(written) ?? []).slice(1).map(Number);
    if (first === undefined || last === undefined) return undefined;
    return 1024 <= first && first <= last && last <= 65_535 ? [first, last] : undefined;
  },
);

/** A number, or a text. */
export const portSpan = z.coerce.string().pipe(
  text("a port, or FIRST-LAST", (written): PortSpan | undefined => {
    const { first, last = first } = /^(?<first>\d{1,5})(?:-(?<last>\d{1,5}))?$/.exec(written)?.groups ?? {};
    const span: PortSpan = [Number(first), Number(last)];
    return 1 <= span[0] && span[0] <= span[1] && span[1] <= 65_535 ? span : undefined;
  }),
);

export const xmppService = text("xmpp://HOST:PORT", (written): string | undefined => {
  const port = /^xmpp:\/\/(?:\[[0-9a-f:.]+\]|[\w.-]+):(\d{1,5})$/i.exec(written)?.[1];
  return Number(port) >= 1 && Number(port) <= 65_535 ? written : undefined;
});

/** A host name or address as it stands in a URI: no scheme, no port, no brackets. */
export const hostName = text("a host name or an address", (written): string | undefined =>
  /^[\w.-]+$/.test(written) ? written.toLowerCase() : readAddress(written),
);

/** What a certificate is for (RFC 8489 section 14.16). */
export const certifiedName = text("a DNS name", (written): string | undefined =>
  /^(?=.{1,255}$)[a-z\d-]+(\.[a-z\d-]+)*$/i.test(written) ? written.toLowerCase() : undefined,
);

const externalExpected = "expected an address, stun:HOST:PORT, or a list of up to eight of these servers";

/** An address, or STUN servers that know it, of which there may be several. */
export const externalAddress = z
  .union([z.string().transform((one) => [one]), z.array(z.string())], { error: externalExpected })
  .transform((written, context): string | readonly StunServer[] => {
    const [first = ""] = written;
    const address = written.length === 1 ? readAddress(first) : undefined;
    if (address !== undefined) return address;
    const servers = written.flatMap((each) => stunServer(each) ?? []);
    if (servers.length === written.length && 1 <= servers.length && servers.length <= 8) return servers;
    context.addIssue({ code: "custom", message: externalExpected });
    return z.NEVER;
  });

function stunServer(written: string): StunServer | undefined {
  return written.startsWith("stun:") ? hostAndPort.safeParse(written.slice("stun:".length)).data : undefined;
}

/** What a TLS client may ask for. */
export const serverName = text("a DNS name, or *. and one", (written): string | undefined =>
  /^(\*\.)?[\w-]+(\.[\w-]+)*$/.test(written) ? written.toLowerCase() : undefined,
);

export const hostAndPort = text("HOST:PORT, an IPv6 address in brackets", (written) => {
  const { v6, name, port } = /^(?:\[(?<v6>[^\]]*)\]|(?<name>[\w.-]+)):(?<port>\d{1,5})$/.exec(written)?.groups ?? {};
  const host = v6 === undefined ? name : readAddress(v6);
  return host !== undefined && 1 <= Number(port) && Number(port) <= 65_535 ? { host, port: Number(port) } : undefined;
});

export const domainName = text("a domain", (written): string | undefined =>
  /^[^\s/@]{1,1023}$/.test(written) ? written.toLowerCase() : undefined,
);

export const contactUri = text("a URI, such as mailto:admin@example.org or xmpp:admin@example.org", (written) =>
  /^[a-z][\w+.-]*:\S+$/i.test(written) ? written : undefined,
);

/** As servers know their users: in lower case, and escaped. */
export const accountJid = text("a JID without a resource, such as name@example.org", (written): string | undefined => {
  const account = /@[^\s/@]+$/.test(written) ? accountTyped(written) : undefined;
  return account && bareJid(account);
});

/** A colon would make it a name with an expiry date (credentials of the shared secret). */
export const userName = text("a name without a colon, of at most 508 bytes", (written): string | undefined =>
  /^[^:]+$/.test(written) && Buffer.byteLength(written) <= 508 ? written : undefined,
);

export const realmName = text("1 to 127 characters", (written): string | undefined =>
  /^.{1,127}$/u.test(written) ? written : undefined,
);

/** Any text but the empty one. */
export const filled = text("at least one character", (written): string | undefined => written || undefined);

/** Relative ones start from `folder`. */
export function pathFrom(folder: string) {
  return filled.transform((path) => resolve(folder, path));
}

/** A literal text, `{ env: NAME }` or `{ file: PATH }`; the line end that closes a file is not part of the secret. */
export function secretText(sources: SecretSources) {
  return z.unknown().transform((written, context): string => {
    const read = secretFrom(written, sources);
    if (read.secret) return read.secret;
    context.addIssue({ code: "custom", message: read.mistake ?? "the secret is empty" });
    return z.NEVER;
  });
}

interface SecretRead {
  readonly secret?: string;
  readonly mistake?: string;
}

function secretFrom(written: unknown, { env, folder }: SecretSources): SecretRead {
  if (written === undefined) return { mistake: "is missing" };
  if (typeof written === "string") return { secret: written };
  if (typeof written === "object" && written !== null && Object.keys(written).length === 1) {
    if ("env" in written && typeof written.env === "string") return secretOfEnvironment(written.env, env);
    if ("file" in written && typeof written.file === "string") return secretInFile(resolve(folder, written.file));
  }
  return { mistake: "expected a text (a number in quotes), { env: NAME } or { file: PATH }" };
}

function secretOfEnvironment(name: string, env: SecretSources["env"]): SecretRead {
  const secret = env[name];
  return secret === undefined ? { mistake: `the environment has no ${name}` } : { secret };
}

function secretInFile(path: string): SecretRead {
  try {
    return { secret: readFileSync(path, "utf8").replace(/\r?\n$/, "") };
  } catch (error) {
    return { mistake: `cannot read the secret: ${reasonOf(error)}` };
  }
}
