// What to do where a port is taken: nothing, or the next one that is free.

import type { Log } from "../admin/log.ts";
import { type Endpoint, Unavailable } from "../contract.ts";
import { systemCodeOf } from "../thrown.ts";

export interface Moves {
  /** Ports tried after one that is taken. */
  readonly most: number;
  readonly log: Log;
}

/** Opens at an offset of 0, or where that is taken, of 1, 2 and so on. */
export async function onFreePort<Opened>(
  asked: string,
  { most, log }: Moves,
  open: (offset: number) => Promise<Opened>,
): Promise<Opened> {
  for (let offset = 0; ; offset += 1) {
    try {
      const opened = await open(offset);
      if (offset > 0) log.warn(`${asked} is taken: listening ${offset} higher`);
      return opened;
    } catch (error) {
      if (offset === most || !isTaken(error)) throw error;
    }
  }
}

function isTaken(error: unknown): boolean {
  return error instanceof Unavailable && systemCodeOf(error.cause) === "EADDRINUSE";
}

export function moved({ address, port }: Endpoint, offset: number): Endpoint {
  return { address, port: movedPort(port, offset) };
}

export function movedPort(port: number, offset: number): number {
  return port === 0 ? 0 : port + offset;
}
