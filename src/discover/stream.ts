// One Binding over TCP or TLS: whether the server is reached so, and as what it sees us.

import { once } from "node:events";
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { type Endpoint, type Millis, Unavailable } from "../contract.ts";
import { Deframer } from "../stun/stream.ts";
import { reasonOf } from "../thrown.ts";
import { readBinding, writeBinding } from "./binding.ts";
import type { Sleep } from "./prober.ts";

export interface StreamFindings {
  readonly mapped?: Endpoint;
  /** Why there is no mapped address. */
  readonly failure?: string;
  /** Over TLS: `trusted`, or why not. It is a finding, and does not stop us: nothing secret is sent. */
  readonly certificate?: string;
}

/** Where a port is shared, these lead to STUN (RFC 7443). */
const protocols = ["stun.nat-discovery", "stun.turn"];

/** Connecting, TLS and the answer together. */
const deadlineMillis: Millis = 10_000;

export function askOverTcp(server: Endpoint, sleep: Sleep): Promise<StreamFindings> {
  return findings(async (over) => {
    const socket = connectTcp({ host: server.address, port: server.port });
    return { mapped: await ask(socket, "connect", over) };
  }, sleep);
}

/** `host` is the name that the certificate should be for. */
export function askOverTls(server: Endpoint, host: string, sleep: Sleep): Promise<StreamFindings> {
  return findings(async (over) => {
    const name = host === server.address ? {} : { servername: host };
    const options = { rejectUnauthorized: false, ALPNProtocols: protocols, ...name };
    const socket = connectTls({ host: server.address, port: server.port, ...options });
    return { mapped: await ask(socket, "secureConnect", over), certificate: certificateOf(socket) };
  }, sleep);
}

async function findings(
  attempt: (over: AbortSignal) => Promise<StreamFindings>,
  sleep: Sleep,
): Promise<StreamFindings> {
  const over = new AbortController();
  const late = sleep(deadlineMillis, over.signal).then((): StreamFindings => ({ failure: "no answer" }));
  try {
    return await Promise.race([attempt(over.signal), late]);
  } catch (error) {
    return { failure: reasonOf(error) };
  } finally {
    over.abort();
  }
}

async function ask(socket: Socket, connected: "connect" | "secureConnect", over: AbortSignal): Promise<Endpoint> {
  over.addEventListener("abort", () => socket.destroy());
  // What fails here rejects below; what fails after the end is nobody's concern.
  socket.on("error", () => {});
  try {
    await once(socket, connected, { signal: over });
    const { transaction, bytes } = writeBinding();
    socket.write(bytes);
    const frames = new Deframer();
    for await (const chunk of socket) {
      for (const frame of frames.push(chunk)) {
        const message = readBinding(Buffer.from(frame));
        if (message?.transaction === transaction && message.mapped) return message.mapped;
      }
      if (frames.isBroken) throw new Unavailable("the server speaks something else");
    }
    throw new Unavailable("the server hung up");
  } finally {
    socket.destroy();
  }
}

function certificateOf({ authorized, authorizationError }: TLSSocket): string {
  return authorized ? "trusted" : `${authorizationError}`;
}
