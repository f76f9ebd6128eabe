// The HTTP side door: /metrics for Prometheus, /healthz and /readyz for whoever restarts and balances, and /xmpp, by which
// `sluice setup --check` has a running relay look at its XMPP server. It has no
// password, so it listens on loopback unless told otherwise, and it reads nothing but the request line.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type Endpoint, Unavailable } from "../contract.ts";

export interface AdminOptions {
  readonly at: Endpoint;
  readonly metrics: { readonly contentType: string; read(): Promise<string> };
  /** Whether clients are served; and in one line each, how the parts are. */
  readonly readiness: () => { readonly isReady: boolean; readonly lines: readonly string[] };
  /** Whether the XMPP server does its part; in one line each, what was found. Not there without a component. */
  readonly xmpp?: (() => Promise<{ readonly isWell: boolean; readonly lines: readonly string[] }>) | undefined;
}

export interface AdminServer {
  readonly at: Endpoint;
  stop(): Promise<void>;
}

interface Page {
  readonly status: number;
  readonly type?: string;
  readonly allow?: string;
  readonly body: string;
}

const textType = "text/plain; charset=utf-8";

/** Rejects with `Unavailable` when the address or port is not to be had. */
export async function startAdmin(options: AdminOptions): Promise<AdminServer> {
  const { metrics, readiness, xmpp } = options;
  const pages: Pages = {
    "/metrics": async () => ({ status: 200, type: metrics.contentType, body: await metrics.read() }),
    "/healthz": async () => ({ status: 200, body: "ok\n" }),
    "/readyz": async () => readyPage(readiness()),
    ...(xmpp ? { "/xmpp": async () => xmppPage(await xmpp()) } : {}),
  };
  const server = createServer(
    { maxHeaderSize: 8192, headersTimeout: 5000, requestTimeout: 10_000, keepAliveTimeout: 5000 },
    (request, response) => void answer(pages, request, response),
  );
  server.maxConnections = 64;
  await listen(server, options.at);
  return {
    at: boundAt(server, options.at),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
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

function listen(server: Server, { address, port }: Endpoint): Promise<void> {
  return new Promise((resolve, reject) => {
    // Stays: a connection that cannot be accepted is no reason to stop relaying.
    server.on("error", (cause) =>
      reject(new Unavailable(`cannot serve metrics on ${address} port ${port}`, { cause })),
    );
    server.listen({ host: address, port, ipv6Only: true }, resolve);
  });
}

function boundAt(server: Server, asked: Endpoint): Endpoint {
  const bound = server.address();
  return typeof bound === "object" && bound ? { address: asked.address, port: bound.port } : asked;
}
