// The HTTP side door: /metrics for Prometheus, /healthz and /readyz for whoever restarts and balances, and /xmpp, by which
// `sluice setup --check` has a running relay look at its XMPP server. It has no password, so it listens on loopback unless
// told otherwise, and it reads nothing but the request line.

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Endpoint } from "../contract.ts";
import { type HttpListener, openHttpListener } from "../http-listener.ts";

export interface AdminOptions {
  readonly at: Endpoint;
  readonly metrics: { readonly contentType: string; read(): Promise<string> };
  /** Whether clients are served; and in one line each, how the parts are. */
  readonly readiness: () => { readonly isReady: boolean; readonly lines: readonly string[] };
  /** Whether the XMPP server does its part; in one line each, what was found. Not there without a component. */
  readonly xmpp?: (() => Promise<{ readonly isWell: boolean; readonly lines: readonly string[] }>) | undefined;
}

interface Page {
  readonly status: number;
  readonly type?: string;
  readonly allow?: string;
  readonly body: string;
}

const connectionsAtMost = 64;
const textType = "text/plain; charset=utf-8";

/** Rejects with `Unavailable` when the address or port is not to be had. */
export async function startAdmin(options: AdminOptions): Promise<HttpListener> {
  const { metrics, readiness, xmpp } = options;
  const pages: Pages = {
    "/metrics": async () => ({ status: 200, type: metrics.contentType, body: await metrics.read() }),
    "/healthz": async () => ({ status: 200, body: "ok\n" }),
    "/readyz": async () => readyPage(readiness()),
    ...(xmpp ? { "/xmpp": async () => xmppPage(await xmpp()) } : {}),
  };
  return await openHttpListener("serve metrics", options.at, connectionsAtMost, (request, response) => {
    void answer(pages, request, response);
  });
}

type Pages = Readonly<Record<string, () => Promise<Page>>>;

async function answer(pages: Pages, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { status, type = textType, body, allow } = await pageFor(pages, request);
  response.writeHead(status, {
    "content-type": type,
    "content-length": Buffer.byteLength(body),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    ...(allow === undefined ? {} : { allow }),
  });
  response.end(request.method === "HEAD" ? undefined : body);
}

async function pageFor(pages: Pages, { method, url = "" }: IncomingMessage): Promise<Page> {
  const path = url.split("?", 1)[0] ?? "";
  const page = Object.hasOwn(pages, path) ? pages[path] : undefined;
  if (!page) return { status: 404, body: "there are /metrics, /healthz and /readyz\n" };
  if (method !== "GET" && method !== "HEAD") {
    return { status: 405, body: "these pages are for reading\n", allow: "GET, HEAD" };
  }
  return await page().catch(() => ({ status: 500, body: "the page could not be made\n" }));
}

function readyPage({ isReady, lines }: ReturnType<AdminOptions["readiness"]>): Page {
  return { status: isReady ? 200 : 503, body: [isReady ? "ready" : "not ready", ...lines, ""].join("\n") };
}

function xmppPage({ isWell, lines }: { readonly isWell: boolean; readonly lines: readonly string[] }): Page {
  return { status: isWell ? 200 : 503, body: [...lines, ""].join("\n") };
}
