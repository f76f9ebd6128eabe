// STUN messages and ChannelData over a byte stream: where each ends, and its padding (RFC 8489 section 6.2.2, RFC 8656
// section 12.5).

import { padded } from "./codecs.ts";
import { asBuffer, headerBytes, magicCookie } from "./header.ts";

const channelHeaderBytes = 4;
/** Type, length and magic cookie: enough to tell STUN from what is none. RFC 3489 clients had no use for streams. */
const stunLeadBytes = 8;

/** What is awaited of a stream. A frame that says that it is longer breaks it. */
export interface FrameLimits {
  /** Of a STUN message behind its header. */
  readonly messageBytes: number;
  /** Of the payload of ChannelData. Below 0, there is none. */
  readonly channelDataBytes: number;
}

/** The longest payload that fits a UDP datagram; nothing longer can be relayed, so nothing longer is awaited. */
const everyFrame: FrameLimits = { messageBytes: 0xffff, channelDataBytes: 65_527 };

/** What a frame takes on a stream: ChannelData is padded with zeros to a multiple of four bytes. STUN always is one. */
export function pad(frame: Uint8Array): Uint8Array {
  const size = padded(frame.length);
  if (size === frame.length) return frame;
  const bytes = Buffer.alloc(size);
  bytes.set(frame);
  return bytes;
}

/** Cuts one stream into frames. From one chunk to the next it holds no more than one unfinished frame. */
export class Deframer {
  /** The first `#length` bytes of it have arrived and belong to no finished frame. */
  #held = Buffer.alloc(0);
  #length = 0;
  #isBroken = false;

  /** Whether the stream brought something else: where the next frame starts is lost, so close the connection. */
  get isBroken(): boolean {
    return this.#isBroken;
  }

  /** The frames that `chunk` finishes, without their padding, as views of it where they can be. */
  push(chunk: Uint8Array, limits: FrameLimits = everyFrame): Uint8Array[] {
    if (this.#isBroken) return [];
    let bytes = this.#length === 0 ? asBuffer(chunk) : this.#append(chunk);
    const frames: Uint8Array[] = [];
    for (;;) {
      const size = this.#measure(bytes, limits);
      if (size === undefined || bytes.length < padded(size)) break;
      frames.push(bytes.subarray(0, size));
      bytes = bytes.subarray(padded(size));
    }
    if (this.#length === 0 || frames.length > 0) this.#hold(bytes);
    return frames;
  }

  /** Bytes of the frame that begins here, without padding; undefined while that is not known, or if it is none. */
  #measure(bytes: Buffer, { messageBytes, channelDataBytes }: FrameLimits): number | undefined {
    if (bytes.length === 0) return undefined;
    const kind = bytes.readUInt8(0) >> 6;
    if (kind > 1 || (kind === 1 && channelDataBytes < 0)) return this.#break();
    if (bytes.length < (kind === 0 ? stunLeadBytes : channelHeaderBytes)) return undefined;
    const length = bytes.readUInt16BE(2);
    if (kind === 1) return length > channelDataBytes ? this.#break() : channelHeaderBytes + length;
    const isStun = length % 4 === 0 && bytes.readUInt32BE(4) === magicCookie;
    return isStun && length <= messageBytes ? headerBytes + length : this.#break();
  }

  #break(): undefined {
    this.#isBroken = true;
    return undefined;
  }

  /** Doubles when full: bytes that trickle in one by one are not copied once for each. */
  #append(chunk: Uint8Array): Buffer {
    const length = this.#length + chunk.length;
    if (length > this.#held.length) {
      const larger = Buffer.allocUnsafe(Math.max(length, 2 * this.#held.length));
      larger.set(this.#held.subarray(0, this.#length));
      this.#held = larger;
    }
    this.#held.set(chunk, this.#length);
    this.#length = length;
    return this.#held.subarray(0, length);
  }

  /** A copy: the frames handed out share the bytes it was cut from, and a short rest shall not keep them alive. */
  #hold(rest: Buffer): void {
    this.#held = Buffer.from(rest);
    this.#length = this.#held.length;
  }
}
