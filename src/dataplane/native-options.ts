// What can be chosen about the native plane, and the sizes that follow from it.

import { availableParallelism } from "node:os";
import type { PlaneAbilities, PlaneOptions, SocketId } from "../contract.ts";
import { defaultReplyRate, type ReplyRate } from "../turn/reply-budget.ts";
import { type HandUpLimits, handUpLimits } from "./hand-up-budget.ts";
import { type EngineOptions, nativeHmac, transports } from "./native-addon.ts";
import { type DtlsLimits, dtlsLimits } from "./native-dtls.ts";
import { type StreamLimits, streamLimits } from "./stream.ts";

export interface NativeOptions {
  /** One thread each; as many as this machine has cores if not said. */
  readonly threads?: number | undefined;
  /** Relay ports that may be open at once. */
  readonly relays?: number;
  /** Whether threads answer plain Binding requests as TurnServer would. They do if not said. */
  readonly answersBinding?: boolean;
  /** How many such answers strangers at one network get; clients with routes get theirs all the same. */
  readonly replyRate?: ReplyRate;
  /** Whether they forward Send indications, to where the controller has sent for the same client. They do if not said. */
  readonly forwardsSends?: boolean;
  /** Whether threads receive through io_uring where the kernel has it. They do if not said. */
  readonly byRing?: boolean;
  readonly handUp?: HandUpLimits;
  readonly dtls?: DtlsLimits;
  readonly streams?: StreamLimits;
  /**
   * That may wait for clients on streams that read slowly, and for the rest of what they began to say, in all. Who reads
   * nothing gets an eighth of what is free at most.
   */
  readonly waitingBytes?: number;
  /** Microseconds, for tests that own the time: it stands still unless this is set. */
  readonly clock?: BigInt64Array<ArrayBuffer>;
}

export const mostThreads = 64;
const defaultRelays = 65_536;
/** A channel and a permission, both ways, for each relay port, and as much again for those that have several. */
const waysPerRelay = 8;
/** For each thread, however many there are: more than one user can hold within the default quotas. */
const leastWays = 131_072;
/** One for its allocation and one for its user, and as much again for what flows back after a relay port was closed. */
const bucketsPerRelay = 4;

const defaultWaitingBytes = 512 * 1024 * 1024;

export interface Settled {
  readonly threads: number;
  readonly relays: number;
  readonly buckets: number;
  readonly handUp: HandUpLimits;
  readonly dtls: DtlsLimits;
  readonly streams: StreamLimits;
  readonly engine: Omit<EngineOptions, "counters" | "usage" | "joined">;
}

/** Threads do not know who may not come in and is not to be answered. */
export function abilitiesOf(
  { mayEnter }: Pick<PlaneOptions, "mayEnter">,
  hasRoom: (relay: SocketId) => boolean,
): PlaneAbilities {
  return {
    movesAmong: [transports],
    dontFragment: transports,
    hasRoom,
    hmac: nativeHmac(),
    challenges: mayEnter === undefined,
  };
}

/** With whatever is not said. */
export function settle(native: NativeOptions): Settled {
  const { threads = Math.min(availableParallelism(), mostThreads), relays = defaultRelays } = native;
  const { answersBinding = true, replyRate = defaultReplyRate, forwardsSends = true, byRing = true } = native;
  const { handUp = handUpLimits, dtls = dtlsLimits, streams = streamLimits, clock } = native;
  const { waitingBytes = defaultWaitingBytes } = native;
  const buckets = relays * bucketsPerRelay;
  const ways = relays * waysPerRelay;
  const waysEach = Math.max(Math.ceil(ways / threads), Math.min(ways, leastWays));
  const replies = { intervalNanos: Math.ceil(1e9 / replyRate.repliesPerSecond), burst: replyRate.burst };
  const dtlsEach = { ...dtls, handshakes: Math.ceil(dtls.handshakes / threads) };
  const streamsEach = {
    ...streams,
    // A TLS handshake has a place, too, and is not yet a connection.
    streams: streams.connections + streams.arrivals,
    handshakes: Math.ceil(streams.arrivals / threads),
    handshakeMillis: streams.arrivalMillis,
    waitingBytes: Math.ceil(waitingBytes / threads),
  };
  const sizes = { workers: threads, relays, ways: waysEach, buckets };
  const shortcuts = { answersBinding, replies, forwardsSends };
  const engine = { ...sizes, ...shortcuts, byRing, dtls: dtlsEach, streams: streamsEach, clock: clock?.buffer };
  return { threads, relays, buckets, handUp, dtls, streams, engine };
}
