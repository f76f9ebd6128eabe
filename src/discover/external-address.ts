// The address that the world sees one of ours as, as STUN servers say: for a relay behind a NAT that maps one address to
// one, as clouds have it. What did not come from the server that was asked, under the id of the request, is not believed.

import { lookup } from "node:dns/promises";
import { scheduler } from "node:timers/promises";
import { type Endpoint, familyOf } from "../contract.ts";
import { brisk, Prober } from "./prober.ts";
import { udpPortsAt } from "./udp-port.ts";

export interface StunServer {
  readonly host: string;
  readonly port: number;
}

export interface Sighting {
  readonly address: string;
  /** False where the NAT gives out other ports than ours: then it does not map one address to one. */
  readonly keepsPort: boolean;
}

/** What each server says, within a few seconds; undefined for one that says nothing. Rejects if `bind` cannot be bound. */
export async function askExternalAddress(
  bind: string,
  servers: readonly StunServer[],
): Promise<readonly (Sighting | undefined)[]> {
  const prober = new Prober(udpPortsAt(bind), (millis, signal) => scheduler.wait(millis, signal && { signal }));
  try {
    const port = await prober.open();
    const ask = async (server: StunServer): Promise<Sighting | undefined> => {
      const to = await endpointOf(server, bind);
      const echo = to && (await prober.ask(port, to, {}, brisk));
      const isFromThere = echo?.from.address === to?.address && echo?.from.port === to?.port;
      if (!echo?.mapped || !isFromThere || echo.class !== "success") return undefined;
      const { address, port: mappedPort } = echo.mapped;
      if (familyOf(address) !== familyOf(bind)) return undefined;
      return { address, keepsPort: mappedPort === port.local.port };
    };
    return await Promise.all(servers.map(ask));
  } finally {
    await prober.close();
  }
}

async function endpointOf({ host, port }: StunServer, bind: string): Promise<Endpoint | undefined> {
  try {
    const { address } = await lookup(host, { family: familyOf(bind) });
    return { address, port };
  } catch {
    // A name that is not to be found now is a server that does not answer.
    return undefined;
  }
}
