// node-turn: a TURN server in JavaScript, over UDP only, abandoned in 2020. In a process of its own, like the others.

import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { account, type Place, relayPorts } from "./place.ts";
import type { Program } from "./stage.ts";

const library = fileURLToPath(new URL("../../../../node_modules/node-turn/", import.meta.url));

export function whyNoNodeTurn(): string | undefined {
  return existsSync(library) ? undefined : "npm install --no-save node-turn";
}

export function startNodeTurn({ stage, topology, at, folder }: Place): Program {
  const options = {
    listeningIps: [at.address],
    relayIps: [at.address],
    listeningPort: at.port,
    minPort: relayPorts.first,
    maxPort: relayPorts.last,
    authMech: "long-term",
    realm: account.realm,
    credentials: { [account.username]: account.password },
  };
  const file = join(folder, "node-turn.cjs");
  const lines = [`const Turn = require(${JSON.stringify(library)});`, `new Turn(${JSON.stringify(options)}).start();`];
  writeFileSync(file, `${lines.join("\n")}\n`);
  return stage.start([...topology.asServer, process.execPath, file], { folder });
}
