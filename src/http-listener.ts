// An HTTP server beside the relay: few connections, small requests, nothing for long. When the connections are too many, the
// oldest makes room: whoever holds them all pushes himself out, and who asks at once is answered.

import { createServer, type RequestListener, type Server } from "node:http";
import type { Socket } from "node:net";
import { type Endpoint, Unavailable } from "./contract.ts";

export interface HttpListener {
  readonly at: Endpoint;
  /** Resolves when its port is free again. */
  stop(): Promise<void>;
}

const limits = {
  maxHeaderSize: 8192,
  headersTimeout: 5000,
  requestTimeout: 10_000,
  keepAliveTimeout: 5000,
  // How often Node looks who has taken longer than that.
  connectionsCheckingInterval: 1000,
};

/** Rejects with `Unavailable` when the address or port is not to be had; `what` says what it was for. */
export async function openHttpListener(
  what: string,
  at: Endpoint,
  connectionsAtMost: number,
  answer: RequestListener,
): Promise<HttpListener> {
  const server = createServer(limits, answer);
  const open = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    open.add(socket);
    socket.once("close", () => open.delete(socket));
    const [oldest] = open;
    if (open.size > connectionsAtMost) oldest?.destroy();
  });
  await listen(server, at, what);
  const bound = server.address();
  return {
    at: typeof bound === "object" && bound ? { address: at.address, port: bound.port } : at,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function listen(server: Server, { address, port }: Endpoint, what: string): Promise<void> {
  return new Promise((resolve, reject) => {
    // Stays: a connection that cannot be accepted is no reason to stop relaying.
    server.on("error", (cause) => reject(new Unavailable(`cannot ${what} on ${address} port ${port}`, { cause })));
    server.listen({ host: address, port, ipv6Only: true }, resolve);
  });
}
