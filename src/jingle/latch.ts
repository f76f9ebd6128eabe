// Whose a port is that anybody can send to: the first source of media, and from then on nobody else's, unless a packet
// shows that it is the same stream from another address, as after a change of network. What shows it is the SSRC: 32 random
// bits that only who sees the stream knows (RFC 3550 section 8).

import { type Endpoint, isSameEndpoint } from "../contract.ts";

/** So many packets in a row must show it, so that nobody who guesses has it by one. */
const packetsToMove = 3;

export class Latch {
  #source: Endpoint | undefined;
  /** Those of the source that were seen here: a stream of audio and one of video, say. */
  readonly #ssrcs = new Set<number>();
  #candidate: { readonly at: Endpoint; packets: number } | undefined;

  get source(): Endpoint | undefined {
    return this.#source;
  }

  /** Whether a packet from there is taken. It may be what makes the port this source's. */
  admits(from: Endpoint, bytes: Uint8Array): boolean {
    if (!isMedia(bytes)) return false;
    const ssrc = ssrcOf(bytes);
    if (!this.#source) this.#source = from;
    else if (!isSameEndpoint(this.#source, from) && !this.#hasMoved(from, ssrc)) return false;
    if (ssrc !== undefined && this.#ssrcs.size < ssrcsAtMost) this.#ssrcs.add(ssrc);
    return true;
  }

  #hasMoved(from: Endpoint, ssrc: number | undefined): boolean {
    if (ssrc === undefined || !this.#ssrcs.has(ssrc)) return false;
    const isNew = !this.#candidate || !isSameEndpoint(this.#candidate.at, from);
    this.#candidate = { at: from, packets: isNew ? 1 : (this.#candidate?.packets ?? 0) + 1 };
    if (this.#candidate.packets < packetsToMove) return false;
    this.#candidate = undefined;
    this.#source = from;
    return true;
  }
}

const ssrcsAtMost = 4;

/** By the first byte: STUN, DTLS, RTP or RTCP (RFC 7983). */
function isMedia(bytes: Uint8Array): boolean {
  const first = bytes[0] ?? 255;
  const isStunOrDtls = first <= 3 || (first >= 20 && first <= 63);
  return bytes.length >= 8 && (isStunOrDtls || isRtp(first));
}

function isRtp(first: number): boolean {
  return first >= 128 && first <= 191;
}

/** Of RTP, or of the sender of RTCP, whose packet types are 192 to 223 (RFC 5761 section 4). */
function ssrcOf(bytes: Uint8Array): number | undefined {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const [first = 0, second = 0] = view;
  if (!isRtp(first)) return undefined;
  const offset = second >= 192 && second <= 223 ? 4 : 8;
  return view.length >= offset + 4 ? view.readUInt32BE(offset) : undefined;
}
