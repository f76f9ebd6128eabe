// Pairs of stream connections that carry on as one: what comes by either leaves by the other, no faster than the slower
// one takes it, and each direction ends by itself.

import { Socket } from "node:net";
import { type Duplex, duplexPair } from "node:stream";
import { TLSSocket } from "node:tls";
import type { Millis, TrafficLimit, Usage } from "../contract.ts";
import { Meter } from "./tally.ts";
import type { Direction, Limiter } from "./traffic-limits.ts";

/** A connection that nobody reads or writes any more, and what was read of it before and is nobody's yet. */
export interface StreamEnd {
  readonly stream: Duplex;
  readonly early: Uint8Array;
  /** As which stream threads of the native plane keep its end of TLS, if they do: what passes by `stream` is then theirs. */
  readonly secured?: number;
}

/** What is to be known of a pair. */
export interface JoinOptions {
  readonly count: (direction: Direction, bytes: number, packets?: number) => void;
  /** What may not pass for now is not lost: it is asked for again and again. */
  readonly limits: readonly TrafficLimit[];
  /** Without a byte for so long, both are broken off. */
  readonly idleMillis: Millis | undefined;
  readonly parted: (usage: Usage) => void;
}

/** A pair. */
export interface Joined {
  /** So far. */
  readonly usage: Usage;
  breakOff(): void;
}

/** Whoever carries on pairs of connections. */
export interface Joiner {
  /** Both ends of a new connection, to be joined with others. */
  connect(): readonly [Duplex, Duplex];
  /** Nothing is read or written in this turn, so that a last word of ours can go before. Either one's end is both's. */
  join(client: StreamEnd, peer: StreamEnd, now: Millis, options: JoinOptions): Joined;
  /** Has whatever has passed be counted. */
  settle(): void;
  /** Ends pairs that have been idle for longer than they may. */
  sweep(now: Millis): void;
  close(): void;
}

/** How long those wait who may send no more for now, until they are asked again. */
const waitMillis = 20;

export class Joins implements Joiner {
  readonly #limiter: Limiter;
  readonly #now: () => Millis;
  readonly #joins = new Set<Join>();
  readonly #waiting = new Set<Pump>();
  #timer: NodeJS.Timeout | undefined;

  constructor(limiter: Limiter, now: () => Millis) {
    this.#limiter = limiter;
    this.#now = now;
  }

  connect(): readonly [Duplex, Duplex] {
    const [one, other] = duplexPair();
    endTogether(one, other);
    endTogether(other, one);
    return [one, other];
  }

  join(client: StreamEnd, peer: StreamEnd, now: Millis, options: JoinOptions): Joined {
    const { limits } = options;
    const admits = (direction: Direction, bytes: number) =>
      limits.length === 0 || this.#limiter.admits(limits, direction, bytes, this.#now());
    const join = new Join(client, peer, now, { ...options, admits });
    this.#joins.add(join);
    join.start(
      (pump) => this.#wait(pump),
      () => this.#joins.delete(join),
    );
    return join;
  }

  /** It is counted as it passes. */
  settle(): void {}

  sweep(now: Millis): void {
    for (const join of this.#joins) join.sweep(now);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#waiting.clear();
    for (const join of this.#joins) join.breakOff();
  }

  #wait(pump: Pump): void {
    this.#waiting.add(pump);
    this.#timer ??= setInterval(() => this.#askAgain(), waitMillis).unref();
  }

  #askAgain(): void {
    for (const pump of this.#waiting) if (pump.tryAgain()) this.#waiting.delete(pump);
    if (this.#waiting.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

interface OwnOptions extends JoinOptions {
  readonly admits: (direction: Direction, bytes: number) => boolean;
}

class Join implements Joined {
  readonly #client: StreamEnd;
  readonly #peer: StreamEnd;
  readonly #options: OwnOptions;
  readonly #meters = { "to-peer": new Meter(), "to-client": new Meter() };
  #bytes = 0;
  #since: Millis;

  constructor(client: StreamEnd, peer: StreamEnd, now: Millis, options: OwnOptions) {
    this.#client = client;
    this.#peer = peer;
    this.#options = options;
    this.#since = now;
  }

  get usage(): Usage {
    const { "to-peer": toPeer, "to-client": toClient } = this.#meters;
    return { toPeer: { ...toPeer }, toClient: { ...toClient } };
  }

  start(wait: (pump: Pump) => void, over: () => void): void {
    const [{ stream: client }, { stream: peer }] = [this.#client, this.#peer];
    let open = 2;
    for (const stream of [client, peer]) {
      whenClosed(stream, () => {
        open -= 1;
        if (open > 0) return;
        over();
        this.#options.parted(this.usage);
      });
    }
    endTogether(client, peer);
    endTogether(peer, client);
    const up = this.#pump(client, peer, "to-peer", wait);
    const down = this.#pump(peer, client, "to-client", wait);
    process.nextTick(() => {
      up.start(this.#client.early);
      down.start(this.#peer.early);
    });
  }

  sweep(now: Millis): void {
    const { idleMillis = Number.POSITIVE_INFINITY } = this.#options;
    const { "to-peer": up, "to-client": down } = this.#meters;
    const bytes = up.bytes + down.bytes;
    if (bytes !== this.#bytes) this.#since = now;
    this.#bytes = bytes;
    if (now - this.#since >= idleMillis) this.breakOff();
  }

  breakOff(): void {
    breakOff(this.#client.stream);
    breakOff(this.#peer.stream);
  }

  #pump(from: Duplex, to: Duplex, direction: Direction, wait: (pump: Pump) => void): Pump {
    const { count, admits } = this.#options;
    return new Pump({
      from,
      to,
      wait,
      admits: (bytes) => admits(direction, bytes),
      count: (bytes) => {
        this.#meters[direction].add(bytes);
        count(direction, bytes);
      },
    });
  }
}

function whenClosed(stream: Duplex, over: () => void): void {
  if (stream.closed) process.nextTick(over);
  else stream.once("close", over);
}

/** What closes before both directions have ended takes the other with it. Else that one has yet to send what it holds. */
export function endTogether(end: Duplex, other: Duplex): void {
  end.once("close", () => {
    if (!end.readableEnded || !end.writableFinished) breakOff(other);
  });
  if (end.destroyed) breakOff(other);
}

/** Closes it so that its other end does not take this for all that there was to come, where TCP can say so. */
export function breakOff(stream: Duplex): void {
  const canReset = stream instanceof Socket && !(stream instanceof TLSSocket) && !stream.connecting;
  if (canReset) stream.resetAndDestroy();
  else stream.destroy();
}

interface PumpOptions {
  readonly from: Duplex;
  readonly to: Duplex;
  readonly count: (bytes: number) => void;
  readonly admits: (bytes: number) => boolean;
  readonly wait: (pump: Pump) => void;
}

class Pump {
  readonly #options: PumpOptions;
  /** Read, and not yet allowed to pass. */
  #held: Uint8Array | undefined;
  #hasEnded = false;

  constructor(options: PumpOptions) {
    this.#options = options;
  }

  start(early: Uint8Array): void {
    const { from, to } = this.#options;
    // Each direction ends by itself, also where the connection was accepted as one that would not have it so.
    from.allowHalfOpen = true;
    from.on("data", (chunk) => this.#pass(chunk));
    // It can have ended before, and ends though it is paused when there is nothing left to read.
    if (from.readableEnded) this.#hasEnded = true;
    else from.once("end", () => this.#finish());
    to.on("drain", () => this.#goOn());
    if (early.length > 0) this.#pass(early);
    if (this.#hasEnded) this.#finish();
    else this.#goOn();
  }

  /** Whether it does not have to be tried once more. */
  tryAgain(): boolean {
    const held = this.#held;
    this.#held = undefined;
    if (held) this.#pass(held);
    if (this.#hasEnded) this.#finish();
    else this.#goOn();
    return this.#held === undefined;
  }

  /** What is held goes first. */
  #finish(): void {
    this.#hasEnded = true;
    if (this.#held === undefined) this.#options.to.end();
  }

  #goOn(): void {
    if (this.#held === undefined && !this.#options.to.writableNeedDrain) this.#options.from.resume();
  }

  #pass(chunk: Uint8Array): void {
    const { from, to, count, admits, wait } = this.#options;
    if (to.destroyed) return;
    if (!admits(chunk.length)) {
      this.#held = chunk;
      from.pause();
      wait(this);
      return;
    }
    count(chunk.length);
    if (!to.write(chunk)) from.pause();
  }
}
