// One accepted stream connection: frames in, frames out (RFC 8656 section 12.5). A client that reads too slowly loses
// its oldest media, never an answer, and never makes us hold more than a little.

import type { Socket } from "node:net";
import type { Endpoint, Listener, Millis, SocketId } from "../contract.ts";
import { HandshakeCutter } from "../socks5/handshake.ts";
import { decode } from "../stun/message.ts";
import { Method } from "../stun/methods.ts";
import { Deframer, type FrameLimits, pad } from "../stun/stream.ts";
import type { ClientStream } from "./client-stream.ts";
import type { StreamEnd } from "./joins.ts";

/** Bytes that may wait behind a socket that takes no more: of media a moment of video, of answers what nobody needs. */
const queueBytes = { media: 256 * 1024, answers: 64 * 1024 };
/** What a waiting frame costs beside its bytes, so that empty ones are bounded too. */
const overheadBytes = 64;

/** For who has nothing here yet: any request fits, and there is no channel. */
const strangersFrames: FrameLimits = { messageBytes: 4096, channelDataBytes: -1 };
/** For who had something: what was under way when that ended is dropped, and no reason to hang up. */
const formersFrames: FrameLimits = { messageBytes: 4096, channelDataBytes: 4096 };

/** For how long a connection may be silent. */
export interface SilenceLimits {
  /** For a connection that has not yet sent one complete frame. */
  readonly firstFrameMillis: Millis;
  /** For one that has been answered and has nothing here. */
  readonly strangerIdleMillis: Millis;
  /** For one that says nothing and that no route runs over. Longer than the ten minutes of a default allocation. */
  readonly idleMillis: Millis;
}

export interface ConnectionOptions {
  readonly id: SocketId;
  readonly listener: Listener;
  readonly client: Endpoint;
  readonly limits: SilenceLimits;
  readonly now: () => Millis;
  /** Whether a route runs over this connection. */
  readonly isInUse: (connection: SocketId) => boolean;
  readonly receive: (connection: Connection, frame: Uint8Array) => void;
  /** A frame for this client was given up. */
  readonly lost: () => void;
}

export class Connection implements ClientStream {
  readonly id: SocketId;
  readonly listener: Listener;
  readonly client: Endpoint;
  readonly relays = new Set<SocketId>();
  readonly #socket: Socket;
  readonly #options: ConnectionOptions;
  readonly #cutter: Deframer | HandshakeCutter;
  readonly #media = new FrameQueue();
  readonly #answers = new FrameQueue();
  #isFull = false;
  /** What was handed up last may make what follows something else than frames. */
  #isAwaitingAnswer = false;
  #isReleased = false;
  readonly #drainQueues = () => this.#drain();
  readonly #receiveChunk = (chunk: Uint8Array) => this.#receive(chunk);
  #heardAt: Millis;
  #hasHeard = false;
  /** What is awaited while it has nothing here. */
  #framesWithoutRelay = strangersFrames;

  constructor(socket: Socket, options: ConnectionOptions) {
    this.id = options.id;
    this.listener = options.listener;
    this.client = options.client;
    this.#socket = socket;
    this.#cutter = options.listener.protocol === "socks5" ? new HandshakeCutter() : new Deframer();
    this.#options = options;
    this.#heardAt = options.now();
    socket.on("data", this.#receiveChunk);
    socket.on("drain", this.#drainQueues);
  }

  gain(relay: SocketId): void {
    this.relays.add(relay);
  }

  lose(relay: SocketId): void {
    this.relays.delete(relay);
  }

  isOverdue(now: Millis): boolean {
    const { firstFrameMillis, strangerIdleMillis, idleMillis } = this.#options.limits;
    const mayIdle = this.#isStrangers ? strangerIdleMillis : idleMillis;
    return now - this.#heardAt >= (this.#hasHeard ? mayIdle : firstFrameMillis) && !this.#isInUse;
  }

  /** Has neither a relay port nor a route, so it may as well be anybody's. */
  get #isStrangers(): boolean {
    return this.relays.size === 0 && !this.#isInUse;
  }

  get #isInUse(): boolean {
    return this.#isReleased || this.#options.isInUse(this.id);
  }

  sendMedia(frame: Uint8Array): void {
    if (!this.#isFull) this.#write(frame);
    else {
      this.#media.add(frame);
      for (; this.#media.bytes > queueBytes.media; this.#media.take()) this.#options.lost();
    }
  }

  sendAnswer(frame: Uint8Array): void {
    if (!this.#isFull || this.#isReleased) this.#write(frame);
    else {
      this.#answers.add(frame);
      if (this.#answers.bytes > queueBytes.answers) this.hangUp();
    }
    if (this.#isAwaitingAnswer) process.nextTick(() => this.#goOn());
    this.#isAwaitingAnswer = false;
  }

  release(): Promise<StreamEnd> {
    this.#isReleased = true;
    this.#socket.off("data", this.#receiveChunk).off("drain", this.#drainQueues).pause();
    for (const queue of [this.#answers, this.#media]) while (queue.bytes > 0) this.#write(queue.take());
    return Promise.resolve({ stream: this.#socket, early: this.#cutter.takeRest() });
  }

  hangUp(): void {
    this.#socket.destroy();
  }

  #receive(chunk: Uint8Array): void {
    this.#cutter.add(chunk);
    this.#cut();
  }

  #cut(): void {
    const isStrangers = this.#isStrangers;
    if (!isStrangers) this.#framesWithoutRelay = formersFrames;
    while (!this.#isReleased && !this.#isAwaitingAnswer) {
      const frame = this.#cutter.next(isStrangers ? this.#framesWithoutRelay : undefined);
      if (!frame) break;
      this.#hasHeard = true;
      this.#heardAt = this.#options.now();
      this.#isAwaitingAnswer = asksToBind(frame);
      this.#options.receive(this, frame);
    }
    if (this.#cutter.isBroken) this.hangUp();
    if (this.#isAwaitingAnswer && !this.#isReleased) this.#socket.pause();
  }

  #goOn(): void {
    if (this.#isReleased) return;
    this.#socket.resume();
    this.#cut();
  }

  #write(frame: Uint8Array): void {
    const bytes = this.listener.protocol === undefined ? pad(frame) : frame;
    if (this.#socket.writable) this.#isFull = !this.#socket.write(bytes);
  }

  #drain(): void {
    this.#isFull = false;
    for (const queue of [this.#answers, this.#media]) {
      while (!this.#isFull && queue.bytes > 0) this.#write(queue.take());
    }
  }
}

/** Behind a ConnectionBind come bytes for the peer, if it is granted (RFC 6062 section 5.4). A broken one is not answered. */
export function asksToBind(frame: Uint8Array): boolean {
  return isLikeBind(frame) && decode(frame) !== undefined;
}

export function isLikeBind(frame: Uint8Array): boolean {
  return frame[0] === 0 && frame[1] === Method.connectionBind;
}

class FrameQueue {
  readonly #frames: Uint8Array[] = [];
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  add(frame: Uint8Array): void {
    this.#frames.push(frame);
    this.#bytes += frame.length + overheadBytes;
  }

  /** The oldest, which there has to be. */
  take(): Uint8Array {
    const frame = this.#frames.shift() ?? new Uint8Array();
    this.#bytes -= frame.length + overheadBytes;
    return frame;
  }
}
