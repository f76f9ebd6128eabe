// Sluice as it is built, over one of its planes.

import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { stringify } from "yaml";
import { makeCertificate } from "./certificate.ts";
import { account, allocationLimit, type Place, relayPorts } from "./place.ts";
import type { Program } from "./stage.ts";

const root = fileURLToPath(new URL("../../../../", import.meta.url));
const main = join(root, "dist", "main.js");
const nativePlane = join(root, "dist", "dataplane", "native.js");

export function whyNoSluice(plane: "portable" | "native"): string | undefined {
  if (!existsSync(main)) return "npm run build";
  return plane === "portable" || existsSync(nativePlane) ? undefined : "there is no native plane yet";
}

export function startSluice(
  { stage, topology, transport, at, folder }: Place,
  plane: "portable" | "native",
  threads = 1,
): Program {
  const file = join(folder, "sluice.yaml");
  const config = {
    listen: [`${transport}://${at.address}:${at.port}`],
    tls: transport === "tls" ? makeCertificate(folder) : [],
    user: { [account.username]: account.password },
    realm: account.realm,
    "relay-tcp": true,
    "relay-address": [at.address],
    "relay-ports": `${relayPorts.first}-${relayPorts.last}`,
    dataplane: plane,
    threads,
    metrics: "none",
    loopback: topology.name === "loopback",
    peers: { allow: topology.networks },
    quota: {
      allocations: allocationLimit,
      "allocations-per-user": allocationLimit,
      "allocations-per-address": allocationLimit,
    },
    // All clients are in one network.
    "reply-budget": { "replies-per-second": 1_000_000_000, burst: 1_000_000_000 },
    log: { level: "warn" },
    state: folder,
  };
  writeFileSync(file, stringify(config));
  const where = threads === 1 ? topology.asServer : topology.asSpreadServer;
  return stage.start([...where, process.execPath, main, "serve", "--config", file], { folder });
}
