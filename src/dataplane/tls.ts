// TLS towards clients (RFC 8656 section 3.1 over TCP), with the application names of RFC 7443 for who asks for one.

import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import type { Certificates } from "./certificates.ts";
import type { ClientHello } from "./client-hello.ts";

const ours = ["stun.turn", "stun.nat-discovery"] as const;

/** Whether such a handshake is for us, and not for others who share the port. */
export function isOurs({ name, applications }: ClientHello, certificates: Certificates): boolean {
  if (applications.length > 0) return ours.some((application) => applications.includes(application));
  return name === undefined || certificates.isFor(name);
}

/**
 * Answers the handshake that begins with what `socket` has buffered or receives next. Emits `secure` when it is done;
 * when it fails, both sockets close.
 */
export function secure(socket: Socket, certificates: Certificates, highWaterMark: number): TLSSocket {
  const options = {
    isServer: true,
    secureContext: certificates.contextFor(""),
    SNICallback: (
      name: string,
      answer: (error: Error | null, context?: ReturnType<Certificates["contextFor"]>) => void,
    ) => answer(null, certificates.contextFor(name)),
    ALPNProtocols: [...ours],
    highWaterMark,
  };
  return new TLSSocket(socket, options);
}
