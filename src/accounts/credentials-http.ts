// Credentials that expire, handed out over HTTP to who knows a key, such as the backend of a web application
// (draft-uberti-behave-turn-rest-00 section 2). It has no TLS: it belongs on loopback or behind a proxy. Nothing of what is
// asked or answered is logged.

import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Endpoint, Millis } from "../contract.ts";
import { type HttpListener, openHttpListener } from "../http-listener.ts";

export interface CredentialsServerOptions {
  readonly at: Endpoint;
  /** What callers show: `Authorization: Bearer KEY`. */
  readonly key: string;
  readonly lifetimeSeconds: number;
  /** Where TURN or STUN is to be had (RFC 7065, RFC 7064). */
  readonly uris: () => readonly string[];
  readonly mint: (user: string, untilSeconds: number) => { readonly username: string; readonly password: string };
  readonly now: () => Millis;
}

interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: Readonly<Record<string, unknown>>;
}

const path = "/credentials";
const connectionsAtMost = 256;
const bodyBytesAtMost = 4096;
/** With the expiry before it, it still fits into USERNAME (RFC 8489 section 14.3). */
const userBytesAtMost = 497;

/** Rejects with `Unavailable` when the address or port is not to be had. */
export async function startCredentialsServer(options: CredentialsServerOptions): Promise<HttpListener> {
  const isKey = comparison(options.key);
  return await openHttpListener("hand out credentials", options.at, connectionsAtMost, async (request, response) =>
    send(response, await answer(request, options, isKey).catch(() => faulty)),
  );
}

const faulty: Answer = { status: 500, body: { error: "no answer could be made" } };

async function answer(
  request: IncomingMessage,
  options: CredentialsServerOptions,
  isKey: (shown: string) => boolean,
): Promise<Answer> {
  const { method, url = "", headers } = request;
  const [asked, query = ""] = url.split("?", 2);
  if (asked !== path) return { status: 404, body: { error: `there is ${path}` } };
  if (method !== "GET" && method !== "POST") {
    return { status: 405, headers: { allow: "GET, POST" }, body: { error: "expected GET or POST" } };
  }
  const [, shown = ""] = /^Bearer +(\S+)$/i.exec(headers.authorization ?? "") ?? [];
  if (!isKey(shown)) {
    return {
      status: 401,
      headers: { "www-authenticate": "Bearer" },
      body: { error: "expected the key as a bearer token" },
    };
  }
  const form = await formOf(request);
  return typeof form === "string" ? credentials(new URLSearchParams(`${query}&${form}`), options) : form;
}

function credentials(
  parameters: URLSearchParams,
  { lifetimeSeconds, uris, mint, now }: CredentialsServerOptions,
): Answer {
  if (parameters.get("service") !== "turn") return { status: 400, body: { error: "expected service=turn" } };
  // Who is not named shares no quota with anybody.
  const user = parameters.get("username") || randomBytes(9).toString("base64url");
  if (/\p{Cc}/u.test(user) || Buffer.byteLength(user) > userBytesAtMost) {
    return {
      status: 400,
      body: { error: `expected a username of at most ${userBytesAtMost} bytes, all of them text` },
    };
  }
  const { username, password } = mint(user, Math.floor(now() / 1000) + lifetimeSeconds);
  return { status: 200, body: { username, password, ttl: lifetimeSeconds, uris: uris() } };
}

/** The parameters in the body of a request, as a browser's form sends them; none without a body. */
async function formOf(request: IncomingMessage): Promise<string | Answer> {
  const { "content-length": length = "0", "content-type": type = "", "transfer-encoding": encoding } = request.headers;
  if (encoding !== undefined) return { status: 411, body: { error: "expected a content-length" } };
  if (Number(length) > bodyBytesAtMost)
    return { status: 413, body: { error: `expected ${bodyBytesAtMost} bytes at most` } };
  if (Number(length) === 0) return "";
  if (!/^application\/x-www-form-urlencoded *(;|$)/i.test(type)) {
    return { status: 415, body: { error: "expected application/x-www-form-urlencoded" } };
  }
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}

function send(response: ServerResponse, { status, headers, body }: Answer): void {
  const text = `${JSON.stringify(body)}\n`;
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(text),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    // A body that nobody read stands in the way of the next request.
    ...(status === 200 ? {} : { connection: "close" }),
    ...headers,
  });
  response.end(text);
}

/** Takes as long for any wrong text, whatever it has in common with the right one. */
function comparison(secret: string): (shown: string) => boolean {
  const salt = randomBytes(32);
  const digest = (text: string) => createHmac("sha256", salt).update(text).digest();
  const expected = digest(secret);
  return (shown) => timingSafeEqual(digest(shown), expected);
}
