// Joined connections in the native plane: its threads carry on what is TCP at both ends, or theirs over TLS
// (native/joins.cpp), whatever the event loop does. Node's sockets stay as the hulls of the connections: nobody reads or
// writes them, what counts or ends connections finds them as ever, and they close when the pair has ended. Ends whose TLS
// is Node's are joins.ts's, and pairs for which there is no room.

import { strict as assert } from "node:assert";
import { Socket, type SocketConstructorOpts } from "node:net";
import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
import type { Millis, Usage } from "../contract.ts";
import { breakOff, type Joined, type Joiner, type JoinOptions, Joins, type StreamEnd } from "./joins.ts";
import type { Engine } from "./native-addon.ts";
import type { NativeBuckets } from "./native-buckets.ts";
import { mostJoins, type UsageTable } from "./native-counters.ts";
import { descriptorOf, stopReading } from "./socket-handle.ts";

interface Pair {
  readonly slot: number;
  readonly hulls: readonly [client: Socket, peer: Socket];
  readonly options: JoinOptions;
  counted: Usage;
  /** Hulls that are open, and the thread until it has let go. */
  open: number;
  hasThread: boolean;
}

const nothing: Usage = { toPeer: { packets: 0, bytes: 0 }, toClient: { packets: 0, bytes: 0 } };

export interface NativeJoinsOptions {
  readonly limits: NativeBuckets;
  readonly now: () => Millis;
  /** What each pair carried, which threads write. */
  readonly usage: UsageTable;
}

export class NativeJoins implements Joiner {
  readonly #engine: Engine;
  readonly #options: NativeJoinsOptions;
  readonly #others: Joins;
  readonly #pairs = new Map<number, Pair>();
  readonly #free: number[] = [];
  #used = 0;
  #isClosed = false;

  constructor(engine: Engine, options: NativeJoinsOptions) {
    this.#engine = engine;
    this.#options = options;
    this.#others = new Joins(options.limits, options.now);
  }

  /** Over TCP, which threads can carry on whatever the other ends are. */
  connect(): readonly [Duplex, Duplex] {
    const [one, other] = this.#isClosed ? [] : this.#engine.connectWithin();
    if (one === undefined || other === undefined) return this.#others.connect();
    return [hullOf(one), hullOf(other)];
  }

  join(client: StreamEnd, peer: StreamEnd, now: Millis, options: JoinOptions): Joined {
    let joined: Joined | undefined;
    let isOver = false;
    process.nextTick(() => {
      joined = isOver ? this.#others.join(client, peer, now, options) : this.#begin(client, peer, now, options);
      if (isOver) joined.breakOff();
    });
    return {
      get usage() {
        return joined?.usage ?? nothing;
      },
      breakOff() {
        isOver = true;
        joined?.breakOff();
      },
    };
  }

  settle(): void {
    for (const pair of this.#pairs.values()) this.#count(pair);
  }

  sweep(now: Millis): void {
    this.#others.sweep(now);
  }

  /** The engine may be stopped afterwards. */
  close(): void {
    this.#others.close();
    for (const pair of this.#pairs.values()) this.#breakOff(pair);
    this.#isClosed = true;
  }

  /** Hears which pairs have ended in the threads. */
  wake(): void {
    for (const slot of this.#engine.takeParted()) {
      const pair = this.#pairs.get(slot);
      assert(pair, "a pair that nobody joined");
      this.#count(pair);
      this.#options.limits.release(pair.options.limits);
      pair.hasThread = false;
      for (const hull of pair.hulls) hull.destroy();
      this.#conclude(pair);
    }
  }

  #begin(client: StreamEnd, peer: StreamEnd, now: Millis, options: JoinOptions): Joined {
    const slot = this.#free.at(-1) ?? this.#used;
    const isPossible = !this.#isClosed && slot < mostJoins && isCarriable(client) && isCarriable(peer) && !peer.secured;
    const buckets = isPossible ? this.#options.limits.hold(options.limits) : undefined;
    if (!isPossible || !buckets) return this.#joinElsewhere(client, peer, now, options);
    this.#options.usage.clear(slot);
    const [near, far] = [takeOver(client), takeOver(peer)];
    const fds = [descriptorOf(near.stream) ?? -1, descriptorOf(far.stream) ?? -1] as const;
    const { early, secured = 0 } = near;
    if (this.#engine.join(slot, ...fds, early, far.early, buckets, options.idleMillis ?? 0, secured) !== 0) {
      this.#options.limits.release(options.limits);
      return this.#joinElsewhere(near, far, now, options);
    }
    if (this.#free.pop() === undefined) this.#used += 1;
    return this.#keep({ slot, hulls: [near.stream, far.stream], options, counted: nothing, open: 2, hasThread: true });
  }

  /** What threads have secured cannot go on without them. */
  #joinElsewhere(client: StreamEnd, peer: StreamEnd, now: Millis, options: JoinOptions): Joined {
    const joined = this.#others.join(client, peer, now, options);
    if (client.secured || peer.secured) joined.breakOff();
    return joined;
  }

  #keep(pair: Pair): Joined {
    this.#pairs.set(pair.slot, pair);
    for (const hull of pair.hulls) {
      hull.once("close", () => {
        pair.open -= 1;
        this.#breakOff(pair);
        this.#conclude(pair);
      });
    }
    const settled = () => {
      if (pair.hasThread) this.#count(pair);
      return pair.counted;
    };
    return {
      get usage() {
        return settled();
      },
      breakOff: () => this.#breakOff(pair),
    };
  }

  #breakOff({ slot, hulls, hasThread }: Pair): void {
    if (hasThread && !this.#isClosed) this.#engine.breakOffJoin(slot);
    for (const hull of hulls) breakOff(hull);
  }

  #conclude(pair: Pair): void {
    const { slot, open, hasThread, options, counted } = pair;
    if (open > 0 || hasThread) return;
    this.#pairs.delete(slot);
    this.#free.push(slot);
    options.parted(counted);
  }

  /** Since it was last counted. */
  #count(pair: Pair): void {
    const { counted, options, slot } = pair;
    const now = this.#options.usage.at(slot);
    pair.counted = now;
    for (const [direction, to] of [
      ["to-peer", "toPeer"],
      ["to-client", "toClient"],
    ] as const) {
      const packets = now[to].packets - counted[to].packets;
      if (packets > 0) options.count(direction, now[to].bytes - counted[to].bytes, packets);
    }
  }
}

interface TcpEnd extends StreamEnd {
  readonly stream: Socket;
}

/** An open TCP connection of which everything that was written has been taken by the system. */
function isCarriable(end: StreamEnd): end is TcpEnd {
  const { stream } = end;
  if (!(stream instanceof Socket) || stream instanceof TLSSocket || stream.destroyed || stream.connecting) return false;
  return stream.writable && stream.writableLength === 0 && descriptorOf(stream) !== undefined;
}

/** That nobody reads. */
function hullOf(fd: number): Socket {
  const options = { fd, readable: true, writable: true, allowHalfOpen: true, manualStart: true };
  return new Socket(options as SocketConstructorOpts);
}

/** Node reads no more of it; what it has read follows what was read before. */
function takeOver({ stream, early, ...secured }: TcpEnd): TcpEnd {
  // Else the end of what it reads would end what is written.
  stream.allowHalfOpen = true;
  const chunks = [early];
  for (let chunk = stream.read(); chunk !== null; chunk = stream.read()) chunks.push(chunk);
  stopReading(stream);
  return { stream, early: Buffer.concat(chunks), ...secured };
}
