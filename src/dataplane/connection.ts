// One accepted stream connection: frames in, frames out (RFC 8656 section 12.5). A client that reads too slowly loses
// its oldest media, never an answer, and never makes us hold more than a little.

import type { Socket } from "node:net";
import type { Endpoint, Listener, Millis, SocketId } from "../contract.ts";
import { Deframer, type FrameLimits, pad } from "../stun/stream.ts";

/** Bytes that may wait behind a socket that takes no more: of media a moment of video, of answers what nobody needs. */
const queueBytes = { media: 256 * 1024, answers: 64 * 1024 };
/** What a waiting frame costs beside its bytes, so that empty ones are bounded too. */
const overheadBytes = 64;

/** For who has nothing here yet: any request fits, and there is no channel. */
const strangersFrames: FrameLimits = { messageBytes: 4096, channelDataBytes: -1 };
/** For who had something: what was under way when that ended is dropped, and no reason to hang up. */
const formersFrames: FrameLimits = { messageBytes: 4096, channelDataBytes: 4096 };

export interface ConnectionOptions {
  readonly id: SocketId;
  readonly listener: Listener;
  readonly client: Endpoint;
  readonly now: () => Millis;
  /** Whether a route runs over this connection. */
  readonly isInUse: (connection: SocketId) => boolean;
  readonly receive: (connection: Connection, frame: Uint8Array) => void;
  /** A frame for this client was given up. */
  readonly lost: () => void;
}

export class Connection {
  readonly id: SocketId;
  readonly listener: Listener;
  readonly client: Endpoint;
  /** Relay ports that are open for it. */
  readonly relays = new Set<SocketId>();
  readonly #socket: Socket;
  readonly #options: ConnectionOptions;
  readonly #deframer = new Deframer();
  readonly #media = new FrameQueue();
  readonly #answers = new FrameQueue();
  #isFull = false;
  #heardAt: Millis;
  #hasHeard = false;
  /** What is awaited while it has nothing here. */
  #framesWithoutRelay = strangersFrames;

  constructor(socket: Socket, options: ConnectionOptions) {
    this.id = options.id;
    this.listener = options.listener;
    this.client = options.client;
    this.#socket = socket;
    this.#options = options;
    this.#heardAt = options.now();
    socket.on("data", (chunk) => this.#receive(chunk));
    socket.on("drain", () => this.#drain());
  }

  /** Since when no complete frame has come, and whether there ever was one. */
  get silence(): { readonly since: Millis; readonly hasHeard: boolean } {
    return { since: this.#heardAt, hasHeard: this.#hasHeard };
  }

  /** Has neither a relay port nor a route, so it may as well be anybody's. */
  get isStrangers(): boolean {
    return this.relays.size === 0 && !this.isInUse;
  }

  get isInUse(): boolean {
    return this.#options.isInUse(this.id);
  }

  /** Harmless when the client is gone. */
  sendMedia(frame: Uint8Array): void {
    if (!this.#isFull) this.#write(frame);
    else {
      this.#media.add(frame);
      for (; this.#media.bytes > queueBytes.media; this.#media.take()) this.#options.lost();
    }
  }

  /** Answers wait before any media. Who asks on and reads no answers is hung up on. */
  sendAnswer(frame: Uint8Array): void {
    if (!this.#isFull) this.#write(frame);
    else {
      this.#answers.add(frame);
      if (this.#answers.bytes > queueBytes.answers) this.hangUp();
    }
  }

  hangUp(): void {
    this.#socket.destroy();
  }

  #receive(chunk: Uint8Array): void {
    const { isStrangers } = this;
    if (!isStrangers) this.#framesWithoutRelay = formersFrames;
    for (const frame of this.#deframer.push(chunk, isStrangers ? this.#framesWithoutRelay : undefined)) {
      this.#hasHeard = true;
      this.#heardAt = this.#options.now();
      this.#options.receive(this, frame);
    }
    if (this.#deframer.isBroken) this.hangUp();
  }

  #write(frame: Uint8Array): void {
    if (this.#socket.writable) this.#isFull = !this.#socket.write(pad(frame));
  }

  #drain(): void {
    this.#isFull = false;
    for (const queue of [this.#answers, this.#media]) {
      while (!this.#isFull && queue.bytes > 0) this.#write(queue.take());
    }
  }
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
