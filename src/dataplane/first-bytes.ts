// What a connection begins with, read before it is decided who goes on with it.

import type { Socket } from "node:net";

/** Of a beginning: what it is and how many bytes that takes off the stream, or that more is needed, or that it is nothing. */
export type Judgement<Found extends { readonly size: number }> = Found | "incomplete" | "broken";

/**
 * How a stream of ours begins: STUN, since nobody has a channel yet, a TLS handshake (RFC 7983
 * section 7), or SOCKS5 (RFC 1928 section 3).
 */
export function judgeStream(bytes: Buffer): Judgement<{ readonly size: 0; readonly is: "plain" | "tls" | "socks5" }> {
  const [first] = bytes;
  if (first === undefined) return "incomplete";
  if (first === 0x16) return { size: 0, is: "tls" };
  if (first === 0x05) return { size: 0, is: "socks5" };
  return first <= 0x03 ? { size: 0, is: "plain" } : "broken";
}

/**
 * Calls `go` once `judge` has found something in the bytes that came so far; what follows is then as if only it had ever
 * come. Closes on a broken beginning. `judge` must not call a beginning incomplete for ever.
 */
export function readFirst<Found extends { readonly size: number }>(
  socket: Socket,
  judge: (bytes: Buffer) => Judgement<Found>,
  go: (found: Found) => void,
): void {
  let held = Buffer.alloc(0);
  const read = () => {
    for (let chunk = socket.read(); chunk !== null; chunk = socket.read()) held = Buffer.concat([held, chunk]);
    const judged = judge(held);
    if (judged === "incomplete") return;
    socket.off("readable", read);
    if (judged === "broken") {
      socket.destroy();
      return;
    }
    if (held.length > judged.size) socket.unshift(held.subarray(judged.size));
    go(judged);
  };
  socket.on("readable", read);
  // What an earlier reader has put back may be all that ever comes.
  if (socket.readableLength > 0) read();
}
