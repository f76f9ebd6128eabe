// STUN messages and ChannelData over a byte stream: where each ends, and its padding (RFC 8489 section 6.2.2, RFC 8656
// section 12.5).

import { padded } from "./codecs.ts";
import { asBuffer, headerBytes, magicCookie } from "./header.ts";
import { uint16At, uint32At } from "./integers.ts";

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

/** Cuts one stream into frames, one at a time. Between chunks it holds no more than one unfinished frame. */
export class Deframer {
  /** What has arrived and belongs to no finished frame. */
  #bytes: Buffer = Buffer.alloc(0);
  /** Ours, with room at its end; `#bytes` is the beginning of it, unless that is still a view of a chunk. */
  #held = Buffer.alloc(0);
  #isHeld = true;
  #isBroken = false;

  /** Whether the stream brought something else: where the next frame starts is lost, so close the connection. */
  get isBroken(): boolean {
    return this.#isBroken;
  }

  add(chunk: Uint8Array): void {
    if (this.#isBroken) return;
    if (this.#bytes.length > 0) this.#append(chunk);
    else {
      this.#bytes = asBuffer(chunk);
      this.#isHeld = false;
    }
  }

  /** The next frame without its padding, as a view of a chunk where it can be; undefined until more is added. */
  next(limits: FrameLimits = everyFrame): Uint8Array | undefined {
    const size = this.#isBroken ? undefined : this.#measure(this.#bytes, limits);
    if (size === undefined || this.#bytes.length < padded(size)) {
      this.#hold();
      return undefined;
    }
    const frame = this.#bytes.subarray(0, size);
    this.#bytes = this.#bytes.subarray(padded(size));
    this.#isHeld = false;
    return frame;
  }

  /** Every frame that `chunk` finishes. */
  push(chunk: Uint8Array, limits?: FrameLimits): Uint8Array[] {
    this.add(chunk);
    const frames: Uint8Array[] = [];
    for (let frame = this.next(limits); frame; frame = this.next(limits)) frames.push(frame);
    return frames;
  }

  /** What has arrived behind the last frame, which from here on is not for this to cut. */
  takeRest(): Uint8Array {
    const rest = this.#bytes;
    this.#bytes = Buffer.alloc(0);
    return rest;
  }

  /** Bytes of the frame that begins here, without padding; undefined while that is not known, or if it is none. */
  #measure(bytes: Buffer, { messageBytes, channelDataBytes }: FrameLimits): number | undefined {
    if (bytes.length === 0) return undefined;
    const kind = bytes.readUInt8(0) >> 6;
    if (kind > 1 || (kind === 1 && channelDataBytes < 0)) return this.#break();
    if (bytes.length < (kind === 0 ? stunLeadBytes : channelHeaderBytes)) return undefined;
    const length = uint16At(bytes, 2);
    if (kind === 1) return length > channelDataBytes ? this.#break() : channelHeaderBytes + length;
    const isStun = length % 4 === 0 && uint32At(bytes, 4) === magicCookie;
    return isStun && length <= messageBytes ? headerBytes + length : this.#break();
  }

  #break(): undefined {
    this.#isBroken = true;
    return undefined;
  }

  /** Doubles when full: bytes that trickle in one by one are not copied once for each. */
  #append(chunk: Uint8Array): void {
    this.#hold();
    const { length } = this.#bytes;
    const total = length + chunk.length;
    if (total > this.#held.length) {
      const larger = Buffer.allocUnsafe(Math.max(total, 2 * this.#held.length));
      larger.set(this.#bytes);
      this.#held = larger;
    }
    this.#held.set(chunk, length);
    this.#bytes = this.#held.subarray(0, total);
  }

  /** A copy: the frames handed out share the bytes they were cut from, and a short rest shall not keep them alive. */
  #hold(): void {
    if (this.#isHeld) return;
    this.#held = Buffer.from(this.#bytes);
    this.#bytes = this.#held;
    this.#isHeld = true;
  }
}
