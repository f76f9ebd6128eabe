// Clients on TCP and TLS that the threads of the native plane carry (native/streams.h), as the controller sees them: taken
// over from the listeners in stream.ts, and given back where a stream becomes a pipe (RFC 6062).

import { Socket, type SocketConstructorOpts } from "node:net";
import type { Endpoint, Listener, PlaneOptions, SocketId } from "../contract.ts";
import type { Arrival, ClientStream } from "./client-stream.ts";
import { asksToBind, isLikeBind } from "./connection.ts";
import type { StreamEnd } from "./joins.ts";
import { type Engine, firstStream } from "./native-addon.ts";
import { descriptorOf } from "./socket-handle.ts";

/** A socket's number is its place, of which there are so many, and how often that was taken, so that none is mistaken. */
const places = 0x10000;
const lastStream = 0xffff_0000;

const descriptorBytes = 4;

export class NativeStreams {
  readonly #engine: Engine;
  readonly #options: Pick<PlaneOptions, "newSocketId">;
  readonly #most: number;
  readonly #flushSoon: () => void;
  readonly #byId = new Map<SocketId, NativeStream>();
  readonly #bySocket = new Map<number, NativeStream>();
  readonly #byRelay = new Map<SocketId, NativeStream>();
  readonly #freeSockets: number[] = [];
  #used = 0;
  #isClosed = false;

  /** For `most` at once, and no more than there are places. */
  constructor(engine: Engine, options: Pick<PlaneOptions, "newSocketId">, most: number, flushSoon: () => void) {
    this.#engine = engine;
    this.#options = options;
    this.#most = Math.min(most, places);
    this.#flushSoon = flushSoon;
  }

  find(id: SocketId): NativeStream | undefined {
    return this.#byId.get(id);
  }

  /** Whether threads go on with it. */
  adopt(arrival: Arrival): boolean {
    const { socket, client } = arrival;
    const isSecure = arrival.listener.transport === "tls";
    const fd = descriptorOf(socket);
    const number = fd === undefined ? undefined : this.#takeNumber();
    if (fd === undefined || number === undefined) return false;
    const early = bufferedOf(socket);
    if (this.#engine.adopt(number, fd, client.address, client.port, early, isSecure) !== 0) {
      if (early.length > 0) socket.unshift(early);
      this.#freeSockets.push(number);
      return false;
    }
    socket.destroy();
    const stream = new NativeStream(this.#options.newSocketId(), number, arrival, this.#engine, this.#flushSoon);
    this.#byId.set(stream.id, stream);
    this.#bySocket.set(number, stream);
    this.#flushSoon();
    if (!isSecure) stream.open();
    return true;
  }

  /** Says whose a relay port of the engine is: nobody's if not said, or if that one is not on a stream of ours. */
  assign(relay: SocketId, via?: SocketId): void {
    this.#byRelay.get(relay)?.lose(relay);
    this.#byRelay.delete(relay);
    const stream = via === undefined ? undefined : this.#byId.get(via);
    if (!stream) return;
    stream.gainOwn(relay);
    this.#byRelay.set(relay, stream);
  }

  /** Whose frame that is. Over TLS it is the first thing that is heard of a client once its handshake is over. */
  heard(socket: number, frame: Uint8Array): NativeStream | undefined {
    const stream = this.#bySocket.get(socket);
    if (!stream?.open()) return undefined;
    stream.heard(frame);
    return stream;
  }

  /** Nothing more comes of it, and what was to be answered has been. */
  ended(socket: number): void {
    const stream = this.#forget(socket);
    this.#engine.hangUp(socket);
    this.#flushSoon();
    if (stream) this.#closed(stream);
  }

  /** It is ours again: its descriptor and what came of it lie in `bytes`. */
  released(socket: number, bytes: Buffer): void {
    const stream = this.#bySocket.get(socket);
    const isSecure = stream?.listener.transport === "tls";
    const fd = bytes.readInt32LE();
    // Of what is secured, Node could make nothing, and threads would miss it.
    const given = new Socket({ fd, readable: true, writable: true, manualStart: isSecure } as SocketConstructorOpts);
    given.on("error", () => {});
    if (!stream) {
      given.destroy();
      return;
    }
    this.#bySocket.delete(socket);
    given.once("close", () => {
      if (isSecure && !this.#isClosed) this.#engine.dropEnd(socket);
      this.#free(socket);
      this.#closed(stream);
    });
    stream.given({ stream: given, early: bytes.subarray(descriptorBytes), ...(isSecure && { secured: socket }) });
  }

  /** The engine may be stopped afterwards. */
  close(): void {
    this.#isClosed = true;
  }

  #forget(socket: number): NativeStream | undefined {
    const stream = this.#bySocket.get(socket);
    if (!stream) return undefined;
    this.#bySocket.delete(socket);
    this.#free(socket);
    return stream;
  }

  #free(socket: number): void {
    this.#freeSockets.push(socket < lastStream ? socket + places : firstStream + (socket % places));
  }

  #closed(stream: NativeStream): void {
    this.#byId.delete(stream.id);
    for (const relay of stream.relays) this.#byRelay.delete(relay);
    stream.isOver();
  }

  #takeNumber(): number | undefined {
    const free = this.#freeSockets.pop();
    if (free !== undefined || this.#used === this.#most) return free;
    this.#used += 1;
    return firstStream + this.#used - 1;
  }
}

export class NativeStream implements ClientStream {
  readonly id: SocketId;
  /** As the engine numbers sockets. */
  readonly socket: number;
  readonly listener: Listener;
  readonly client: Endpoint;
  readonly relays = new Set<SocketId>();
  /** Of these, those that are not the engine's: with them, a client may be silent for as long as it likes. */
  readonly #others = new Set<SocketId>();
  readonly #engine: Engine;
  readonly #flushSoon: () => void;
  readonly #entrance: Pick<Arrival, "opened" | "closed">;
  #isOpen: boolean | undefined;
  #isAwaitingAnswer = false;
  #wantsEnd: ((end: StreamEnd | undefined) => void) | undefined;
  #isReleased = false;
  #given: Socket | undefined;

  constructor(id: SocketId, socket: number, arrival: Arrival, engine: Engine, flushSoon: () => void) {
    this.id = id;
    this.socket = socket;
    this.listener = arrival.listener;
    this.client = arrival.client;
    this.#entrance = { opened: arrival.opened, closed: arrival.closed };
    this.#engine = engine;
    this.#flushSoon = flushSoon;
  }

  /** It is a connection from here on, if it was none. False if it may not be; then it is hung up. */
  open(): boolean {
    this.#isOpen ??= this.#entrance.opened(this);
    if (!this.#isOpen) this.hangUp();
    return this.#isOpen;
  }

  gain(relay: SocketId): void {
    this.#others.add(relay);
    this.gainOwn(relay);
  }

  /** One that is the engine's. */
  gainOwn(relay: SocketId): void {
    this.relays.add(relay);
    this.#tellRelays();
  }

  lose(relay: SocketId): void {
    this.#others.delete(relay);
    if (this.relays.delete(relay)) this.#tellRelays();
  }

  /** Threads send media by themselves. */
  sendMedia(frame: Uint8Array): void {
    this.sendAnswer(frame);
  }

  sendAnswer(frame: Uint8Array): void {
    const { address, port } = this.client;
    // Behind an answer that is missing, all others are answers to something else.
    if (!this.#engine.send(this.socket, 0, address, port, true, 0, frame, false)) this.hangUp();
    if (this.#isAwaitingAnswer && !this.#isReleased) this.#engine.resume(this.socket);
    this.#isAwaitingAnswer = false;
    this.#flushSoon();
  }

  /** A frame of it is handed up. Threads wait behind what may be a ConnectionBind. */
  heard(frame: Uint8Array): void {
    this.#isAwaitingAnswer = asksToBind(frame);
    if (this.#isAwaitingAnswer || !isLikeBind(frame)) return;
    this.#engine.resume(this.socket);
    this.#flushSoon();
  }

  release(): Promise<StreamEnd | undefined> {
    this.#isReleased = true;
    process.nextTick(() => {
      this.#engine.releaseStream(this.socket);
      this.#flushSoon();
    });
    return new Promise((resolve) => {
      this.#wantsEnd = resolve;
    });
  }

  given(end: StreamEnd & { readonly stream: Socket }): void {
    this.#given = end.stream;
    if (this.#wantsEnd) this.#wantsEnd(end);
    else end.stream.destroy();
  }

  hangUp(): void {
    this.#given?.destroy();
    this.#engine.hangUp(this.socket);
    this.#flushSoon();
  }

  /** Threads see to that. */
  isOverdue(): boolean {
    return false;
  }

  isOver(): void {
    this.#wantsEnd?.(undefined);
    this.#entrance.closed(this);
  }

  #tellRelays(): void {
    this.#engine.ownStream(this.socket, this.relays.size > 0, this.#others.size > 0);
  }
}

/** Everything that was read and nobody has taken. */
function bufferedOf(socket: Socket): Buffer {
  const chunks: Buffer[] = [];
  for (let chunk = socket.read(); chunk !== null; chunk = socket.read()) chunks.push(chunk);
  return Buffer.concat(chunks);
}
