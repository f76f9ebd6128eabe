// Packets that the native plane hands up lie in rings that its threads fill (native/ring.h, struct Record).

import type { Endpoint, Input } from "../contract.ts";
import { formatAddress } from "../stun/address.ts";
import type { Engine } from "./native-addon.ts";

type IcmpError = Extract<Input, { is: "icmp" }>;

const headerBytes = 40;
const at = {
  ...{ size: 0, length: 4, address: 8, port: 24, family: 26, kind: 27 },
  ...{ ownAddress: 28, hops: 29, toPort: 30, socket: 32 },
} as const;

/** What is handed up: the enum UpKind of worker.h. */
export const upKind = { datagram: 0, knock: 1, ended: 2, icmp: 3, released: 4 } as const;

/** What one ring may hold: some thousand requests. More at once is a flood. */
const ringBytes = 256 * 1024;

export interface HandedUp {
  readonly from: Endpoint;
  readonly bytes: Buffer;
  readonly kind: number;
  /** The session, the stream or the relay port that it is about, if it is. */
  readonly socket: number;
  /** Only of crossings: for which port of which own address, and over how many relay ports it came. */
  readonly ownAddress: number;
  readonly toPort: number;
  readonly hops: number;
}

/** Which peer it is about, and what it says (native/worker-errors.cpp). */
export function icmpErrorOf({ from: peer, bytes }: HandedUp): Pick<IcmpError, "peer" | "type" | "code" | "data"> {
  const error = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { peer, type: error.getUint8(0), code: error.getUint8(1), data: error.getUint32(4) };
}

/** One worker's ring of one listener. */
export class UpRing {
  readonly #engine: Engine;
  readonly #worker: number;
  readonly #listener: number;
  readonly #bytes: Buffer;
  readonly #numbers: DataView;
  #position = 0;

  constructor(engine: Engine, worker: number, listener: number) {
    const memory = new ArrayBuffer(ringBytes);
    this.#engine = engine;
    this.#worker = worker;
    this.#listener = listener;
    this.#bytes = Buffer.from(memory);
    this.#numbers = new DataView(memory);
    engine.giveRing(worker, listener, memory);
  }

  /** Gives out everything that was there when it was called. What is given out is the receiver's own. */
  drain(take: (handedUp: HandedUp) => void): void {
    const end = this.#engine.readable(this.#worker, this.#listener);
    if (this.#position === end) return;
    while (this.#position < end) {
      const offset = this.#position % ringBytes;
      const size = this.#numbers.getUint32(offset + at.size, true);
      if (size === 0) this.#position += ringBytes - offset;
      else {
        this.#position += size;
        take(this.#read(offset));
      }
    }
    this.#engine.release(this.#worker, this.#listener, end);
  }

  #read(offset: number): HandedUp {
    const record = this.#numbers;
    const bytesAt = offset + headerBytes;
    return {
      from: { address: this.#address(offset), port: record.getUint16(offset + at.port, true) },
      bytes: Buffer.from(this.#bytes.subarray(bytesAt, bytesAt + record.getUint32(offset + at.length, true))),
      kind: record.getUint8(offset + at.kind),
      socket: record.getUint32(offset + at.socket, true),
      ownAddress: record.getUint8(offset + at.ownAddress),
      toPort: record.getUint16(offset + at.toPort, true),
      hops: record.getUint8(offset + at.hops),
    };
  }

  #address(offset: number): string {
    const length = this.#numbers.getUint8(offset + at.family) === 4 ? 4 : 16;
    return formatAddress(this.#bytes.subarray(offset + at.address, offset + at.address + length));
  }
}

/** One of each worker. */
export function upRings(engine: Engine, workers: number, listener: number): UpRing[] {
  return Array.from({ length: workers }, (_, worker) => new UpRing(engine, worker, listener));
}
