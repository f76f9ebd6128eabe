// Whether relay ports can be bound where the operator wants them: found out at the start, not by the first client.

import { createSocket } from "node:dgram";
import { once } from "node:events";
import { familyOf, Unavailable } from "../contract.ts";

/** Rejects with `Unavailable` where one of them is not to be had, such as the public address of a machine behind a NAT. */
export async function checkOwnAddresses(binds: readonly string[]): Promise<void> {
  await Promise.all(binds.map(checkOne));
}

async function checkOne(address: string): Promise<void> {
  const socket = createSocket(familyOf(address) === 6 ? "udp6" : "udp4");
  try {
    socket.bind({ address, port: 0, exclusive: true });
    await once(socket, "listening");
  } catch (cause) {
    throw new Unavailable(
      `cannot relay on ${address}; behind a NAT say relay-address: { bind: AN-ADDRESS-OF-THIS-MACHINE, external: "${address}" }`,
      { cause },
    );
  } finally {
    socket.close();
  }
}
