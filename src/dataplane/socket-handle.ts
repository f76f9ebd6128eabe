// The one place that knows how Node keeps a socket's descriptor, since it does not tell.

import type { Socket } from "node:net";

interface SocketHandle {
  readonly fd: number;
  reading: boolean;
  readStop(): number;
}

/** Undefined where there is none any more, or Node has come to keep it another way. */
export function descriptorOf(socket: Socket): number | undefined {
  const fd = handleOf(socket)?.fd;
  return typeof fd === "number" && fd > 0 ? fd : undefined;
}

/** Node reads no more of it until somebody asks it to. */
export function stopReading(socket: Socket): void {
  const handle = handleOf(socket);
  handle?.readStop();
  if (handle) handle.reading = false;
}

function handleOf(socket: Socket): SocketHandle | undefined {
  const { _handle: handle } = socket as unknown as { readonly _handle?: SocketHandle | null };
  return handle ?? undefined;
}
