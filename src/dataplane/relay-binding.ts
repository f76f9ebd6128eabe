// Binding a relay port: one is drawn after another until there is one that no other program has.

import { setImmediate } from "node:timers/promises";
import type { Endpoint, Millis, RelayPortWish } from "../contract.ts";
import { systemCodeOf } from "../thrown.ts";
import type { RelayPort, RelayPorts } from "./relay-ports.ts";

export interface Bound<Socket> {
  readonly drawn: RelayPort;
  readonly socket: Socket;
}

export interface RelayBindingOptions<Socket> {
  readonly ports: RelayPorts;
  readonly wish: RelayPortWish | undefined;
  readonly now: () => Millis;
  readonly isWanted: () => boolean;
  /** Rejects with the system's error. */
  readonly bind: (at: Endpoint) => Promise<Socket>;
}

/** After so many ports in vain, packets and timers get their turn. */
const bindsInOneTurn = 8;

/** Undefined when no port is to be had, or none is wanted any longer. */
export async function bindRelayPort<Socket>({
  ports,
  wish,
  now,
  isWanted,
  bind,
}: RelayBindingOptions<Socket>): Promise<Bound<Socket> | undefined> {
  for (let tries = 1; isWanted(); tries += 1) {
    const drawn = ports.draw(now(), wish);
    if (!drawn) return undefined;
    try {
      return { drawn, socket: await bind({ address: drawn.address.bind, port: drawn.port }) };
    } catch (error) {
      if (!isTaken(error)) {
        ports.release(drawn);
        return undefined;
      }
      ports.setAside(drawn, now());
    }
    if (tries % bindsInOneTurn === 0) await setImmediate();
  }
  return undefined;
}

/** Whether it is this one port that cannot be had; any other error would meet us on the next port again. */
function isTaken(error: unknown): boolean {
  const code = systemCodeOf(error);
  return code === "EADDRINUSE" || code === "EACCES";
}
