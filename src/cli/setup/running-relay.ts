// A relay of ours that runs on this machine, asked by its side door what it finds of its XMPP server.

import { type Endpoint, endpointText } from "../../contract.ts";

export interface Told {
  readonly isWell: boolean;
  readonly lines: readonly string[];
}

/** A look takes some seconds. */
const patienceMillis = 30_000;

/** Undefined where no relay answers that is this component, and is online. */
export async function runningRelay(ours: {
  readonly domain: string;
  readonly metrics: Endpoint | "none";
}): Promise<Told | undefined> {
  const { domain, metrics } = ours;
  if (metrics === "none") return undefined;
  try {
    const signal = AbortSignal.timeout(patienceMillis);
    const response = await fetch(`http://${endpointText(metrics)}/xmpp`, { signal, redirect: "error" });
    const [first, ...lines] = (await response.text()).trimEnd().split("\n");
    return first === `component ${domain} online` ? { isWell: response.ok, lines } : undefined;
  } catch {
    // Nobody is there, or somebody else.
    return undefined;
  }
}
