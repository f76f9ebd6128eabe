// A UDP port of this machine, on dgram-as-promised.

import { createSocket } from "node:dgram";
import { promisify } from "node:util";
import { DgramAsPromised } from "dgram-as-promised";
import { type Endpoint, familyOf, Unavailable } from "../contract.ts";
import type { OpenPort } from "./prober.ts";

/** Opens ports at the address that packets to the server leave from, so that it can be compared with what it sees. */
export async function udpPortsTowards(server: Endpoint): Promise<OpenPort> {
  return udpPortsAt(await addressTowards(server));
}

/** Opens ports at an address of this machine. */
export function udpPortsAt(address: string): OpenPort {
  return async (receive) => {
    const socket = DgramAsPromised.createSocket({ type: typeOf(address) });
    const { port } = await socket.bind({ address, port: 0 });
    const ended = (async () => {
      // Nothing may be waited for in here: what comes while nobody receives is lost.
      for await (const { msg, rinfo } of socket) receive(msg, { address: rinfo.address, port: rinfo.port });
    })();
    return {
      local: { address, port },
      send: (bytes, to) => void socket.send(bytes, to.port, to.address).catch(() => {}),
      async close() {
        await socket.close();
        await ended;
      },
    };
  };
}

/** Connecting sends nothing over UDP, but asks the system for the way. */
async function addressTowards(server: Endpoint): Promise<string> {
  const socket = createSocket(typeOf(server.address));
  try {
    // Its callback is told of a failure, too, which the types do not know.
    const connect = promisify((done: (error?: Error) => void) => socket.connect(server.port, server.address, done));
    await connect();
    return socket.address().address;
  } catch (cause) {
    throw new Unavailable(`there is no way to ${server.address}`, { cause });
  } finally {
    socket.close();
  }
}

function typeOf(address: string) {
  return familyOf(address) === 6 ? "udp6" : "udp4";
}
