// The C++ half of the native plane (native/addon.cpp): where it is found, and what it offers.

import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import load from "node-gyp-build";
import { type Challenge, type Hmac, type Transport, Unavailable } from "../contract.ts";
import { digestBytes } from "../stun/hmac.ts";
import { encode } from "../stun/message.ts";
import { Method } from "../stun/methods.ts";

/** Sockets are numbers here: listeners in the order they are opened, then relay ports by their slot. */
export const maxListeners = 32;
/** Sessions over DTLS are numbered from here, and streams from there. */
export const firstSession = 0x8000_0000;
export const firstStream = 0xc000_0000;
/** Transports of clients, as threads number them. */
export const transports: readonly Transport[] = ["udp", "dtls", "tcp", "tls"];

/** Framing as a number: 0 for bare, 1 for indications, else the channel. */
export type LegArguments = readonly [
  socket: number,
  framing: number,
  address: string,
  port: number,
  mayLeave: boolean,
  ownAddress: number,
];

/** In place of an index: the peer's address is not one of our own relayed addresses. */
export const noOwnAddress = 255;
/** In place of a slot: whose relay port it is. */
export const owner = { nobody: -1, otherPlane: -2 } as const;

export interface EngineOptions {
  readonly workers: number;
  readonly relays: number;
  /** Directions of routes for which each worker has room. */
  readonly ways: number;
  /** Buckets of limits that there is room for. */
  readonly buckets: number;
  readonly dtls: {
    readonly sessions: number;
    /** In one thread. */
    readonly handshakes: number;
    readonly handshakeMillis: number;
    readonly idleMillis: number;
  };
  readonly streams: {
    readonly streams: number;
    /** In one thread. */
    readonly waitingBytes: number;
    /** Of TLS, in one thread. */
    readonly handshakes: number;
    readonly handshakeMillis: number;
    readonly firstFrameMillis: number;
    readonly strangerIdleMillis: number;
    readonly idleMillis: number;
  };
  readonly answersBinding: boolean;
  readonly forwardsSends: boolean;
  /** What strangers at one network get of answers to Binding requests. */
  readonly replies: { readonly intervalNanos: number; readonly burst: number };
  /** Whether to receive through io_uring where the kernel has it. */
  readonly byRing: boolean;
  /** 48 64-bit numbers a worker: see `counters.h`. */
  readonly counters: ArrayBuffer;
  /** 4 64-bit numbers a slot. */
  readonly usage: ArrayBuffer;
  /** The same for each pair of joined connections. */
  readonly joined: ArrayBuffer;
  /** One 64-bit number of microseconds, if the time is not to pass by itself. */
  readonly clock?: ArrayBuffer | undefined;
}

/** With a chain and a key in PEM. */
export interface ShownCertificate {
  readonly names: readonly string[];
  readonly chain: string;
  readonly key: string;
}

export interface Engine {
  giveRing(worker: number, listener: number, memory: ArrayBuffer): void;
  /** The bound port, or a negative errno. */
  listen(listener: number, address: string, port: number, isDtls: boolean): number;
  /** To clients over TLS and DTLS; before there is a listener for them. Says what is wrong with it, if anything is. */
  show(certificates: readonly ShownCertificate[], ciphers: string): string | undefined;
  /** Has first Allocate requests answered so, or handed up. False if threads cannot write as much. */
  challenge(challenge: Challenge | undefined): boolean;
  /** Begins a session over DTLS, in answer to the ClientHello that knocked. False if its thread has too much to do. */
  admit(session: number, listener: number, client: string, clientPort: number, hello: Uint8Array): boolean;
  /**
   * Takes over what is behind this descriptor, which stays the caller's, with what was read of it before: of a TLS
   * handshake if it is to be secured. 0 or an errno. Each call below holds for what comes after it.
   */
  adopt(stream: number, fd: number, client: string, clientPort: number, early: Uint8Array, isSecured: boolean): number;
  /** Whether its client has relay ports, and of those some that excuse any silence. */
  ownStream(stream: number, hasRelay: boolean, mayBeSilent: boolean): void;
  /** Its ConnectionBind has been answered. */
  resume(stream: number): void;
  /** Hands it up once everything sent has left, but for its end of TLS, which is kept for `join` or `dropEnd`. */
  releaseStream(stream: number): void;
  /** Of a stream that was released and will not be joined; harmless if it was. */
  dropEnd(stream: number): void;
  hangUp(stream: number): void;
  /** 0 or an errno. */
  openRelay(
    ...relay: [
      slot: number,
      bind: string,
      port: number,
      external: string,
      client: string,
      clientPort: number,
      buckets: readonly number[],
      transport: number,
    ]
  ): number;
  closeRelay(slot: number): void;
  /** For another route over the relay port in this slot. */
  hasRoom(slot: number): boolean;
  /** Makes it new and full. A cost of 0 is no limit. */
  beginBucket(bucket: number, nanosPerByte: number, nanosPerPacket: number): void;
  isFull(bucket: number, now: number): boolean;
  admits(buckets: readonly number[], isToPeer: boolean, bytes: number, now: number): boolean;
  setOwner(ownAddress: number, port: number, slot: number): void;
  /** False if a thread has more orders than it can take. */
  route(...legs: [...client: LegArguments, ...peer: LegArguments, until: number]): boolean;
  unroute(...legs: [...client: LegArguments, ...peer: LegArguments]): void;
  expect(listener: number, address: string, port: number, until: number): void;
  /** Has the controller answer every Binding request itself until then. */
  handUpBindings(until: number): void;
  /** Has every Send indication handed up until the controller has sent to where it goes. */
  askAgain(): void;
  /** The leg's socket is what it leaves by, after the next `flush`. False if its thread has more orders than it can take. */
  send(...to: [...to: LegArguments, bytes: Uint8Array, dontFragment: boolean]): boolean;
  /** For a relay port, from another plane's; or for a listener, handed up because its client had asked for something. */
  arrive(socket: number, address: string, port: number, bytes: Uint8Array, hops: number): boolean;
  /** Sets the clock and wakes threads: those that have something to send, or all that have any orders. */
  flush(now: number, all: boolean): void;
  begin(): void;
  readable(worker: number, listener: number): number;
  release(worker: number, listener: number, position: number): void;
  takeClosed(): number[];
  /**
   * Has a thread carry two connections on as one, by descriptors of its own; idle 0 for never. `secured` is the stream as
   * which the client's end of TLS is kept, or 0. 0 or an errno.
   */
  join(
    ...pair: [
      slot: number,
      client: number,
      peer: number,
      fromClient: Uint8Array,
      fromPeer: Uint8Array,
      buckets: readonly number[],
      idleMillis: number,
      secured: number,
    ]
  ): number;
  breakOffJoin(slot: number): void;
  /** Descriptors of both ends of a TCP connection, which are the caller's; none where there are none to be had. */
  connectWithin(): number[];
  /** Pairs that have ended. */
  takeParted(): number[];
  stop(): void;
}

/** What the judge makes of a packet; `fate` and `drop` are the enums of `judge.h`. */
export interface NativeVerdict {
  readonly fate: number;
  readonly drop: number;
  readonly port: number;
  readonly offset: number;
  readonly length: number;
  readonly from?: NativeLeg;
  readonly to?: NativeLeg;
  readonly isToPeer?: boolean;
}

export interface NativeLeg {
  readonly socket: number;
  readonly framing: number;
  readonly address: string;
  readonly port: number;
  readonly mayLeave: boolean;
}

/** Which an addon lacks that was built of older sources. */
const engineMethods: Readonly<Record<keyof Engine, true>> = {
  giveRing: true,
  listen: true,
  show: true,
  challenge: true,
  admit: true,
  adopt: true,
  ownStream: true,
  resume: true,
  releaseStream: true,
  dropEnd: true,
  hangUp: true,
  openRelay: true,
  closeRelay: true,
  hasRoom: true,
  beginBucket: true,
  isFull: true,
  admits: true,
  setOwner: true,
  route: true,
  unroute: true,
  expect: true,
  handUpBindings: true,
  askAgain: true,
  send: true,
  arrive: true,
  flush: true,
  begin: true,
  readable: true,
  release: true,
  takeClosed: true,
  join: true,
  breakOffJoin: true,
  takeParted: true,
  connectWithin: true,
  stop: true,
};

/** For tests: the judge without sockets and threads. */
export interface Judge {
  /** False if there is no room. */
  route(...legs: [...client: LegArguments, ...peer: LegArguments, until: number, now: number]): boolean;
  unroute(...legs: [...client: LegArguments, ...peer: LegArguments]): void;
  /** False if there is no room. */
  expect(listener: number, address: string, port: number, until: number, now: number): boolean;
  forget(socket: number): void;
  open(relay: number, address: string, port: number): void;
  size(): number;
  atListener(socket: number, address: string, port: number, bytes: Uint8Array, now: number): NativeVerdict;
  atRelay(socket: number, address: string, port: number, bytes: Uint8Array, now: number): NativeVerdict;
  answer(address: string, port: number, bytes: Uint8Array): Uint8Array | undefined;
  challenge(
    challenge: Challenge,
    address: string,
    port: number,
    bytes: Uint8Array,
    now: number,
  ): Uint8Array | undefined;
  frame(framing: number, address: string, port: number, payload: Uint8Array): Uint8Array | undefined;
}

export interface Addon {
  readonly Engine: { readonly prototype: Engine; new (options: EngineOptions, wake: () => void): Engine };
  readonly Judge: new (ways: number, relays: number, seed: number) => Judge;
  /** Fills `to`: 20 bytes by SHA-1, 32 by SHA-256. `parts`: three at most. */
  readonly writeHmac: (to: Uint8Array, key: Uint8Array, ...parts: readonly Uint8Array[]) => void;
}

/** Throws `Unavailable` where that cannot be. */
export function startEngine(options: EngineOptions, wake: () => void): Engine {
  const addon = loadAddon();
  try {
    return new addon.Engine(options, wake);
  } catch (cause) {
    throw new Unavailable("the native plane does not start", { cause });
  }
}

/** By OpenSSL. Throws `Unavailable` where there is no addon. */
export function nativeHmac(): Hmac {
  const { writeHmac } = loadAddon();
  return (algorithm, key, ...parts) => {
    const mac = Buffer.allocUnsafe(digestBytes[algorithm]);
    writeHmac(mac, key, ...parts);
    return mac;
  };
}

/** Whatever was built in this folder, or came prebuilt with it. Throws `Unavailable` with the reason. */
export function loadAddon(folder = packageRoot()): Addon {
  if (process.platform !== "linux")
    throw new Unavailable(`the native plane is for Linux, and this is ${process.platform}`);
  const addon = builtIn(folder);
  if (!isOfThisVersion(addon)) throw new Unavailable("the native plane is of another version: npm run build:native");
  return addon;
}

function builtIn(folder: string): Addon {
  try {
    return load(folder) as Addon;
  } catch (cause) {
    const isMissing = cause instanceof Error && cause.message.startsWith("No native build was found");
    const why = isMissing ? "is not built: npm run build:native" : "does not load";
    throw new Unavailable(`the native plane ${why}`, { cause });
  }
}

/** The self-check: all that we call is there, and what media passes works. */
export function isOfThisVersion(addon: Addon): boolean {
  const engine: object = addon.Engine.prototype;
  const isWhole = "writeHmac" in addon && Object.keys(engineMethods).every((name) => name in engine);
  return isWhole && answersAsWeDo(addon);
}

/** A Binding request through the code that media passes, answered to the byte as TurnServer would. */
function answersAsWeDo(addon: Addon): boolean {
  const [method, transactionId] = [Method.binding, new Uint8Array(12).fill(7)];
  const from = { address: "192.0.2.1", port: 4000 };
  try {
    const request = encode({ class: "request", method, transactionId, attributes: {} });
    const ours = encode({ class: "success", method, transactionId, attributes: { xorMappedAddress: from } });
    const answer = new addon.Judge(1, 1, 0).answer(from.address, from.port, request);
    return answer !== undefined && Buffer.from(answer).equals(ours);
  } catch {
    return false;
  }
}

/** Where package.json is: the same from the sources and from what is built of them. */
function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, "package.json")) && dirname(folder) !== folder) folder = dirname(folder);
  return folder;
}
