// Debian's coturn, with its defaults wherever they do not stand in the way of a fair measurement.

import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeCertificate } from "./certificate.ts";
import { account, type Place, relayPorts } from "./place.ts";
import type { Program } from "./stage.ts";

const turnserver = "/usr/bin/turnserver";

export function whyNoCoturn(): string | undefined {
  return existsSync(turnserver) ? undefined : "apt-get install coturn";
}

export function startCoturn({ stage, topology, transport, at, folder }: Place): Program {
  const file = join(folder, "turnserver.conf");
  const lines = [
    `listening-ip=${at.address}`,
    `listening-port=${at.port}`,
    `relay-ip=${at.address}`,
    `min-port=${relayPorts.first}`,
    `max-port=${relayPorts.last}`,
    "lt-cred-mech",
    `user=${account.username}:${account.password}`,
    `realm=${account.realm}`,
    ...tlsOf(transport, folder),
    "no-dtls",
    "no-cli",
    "allow-loopback-peers",
    `userdb=${join(folder, "turndb")}`,
    `pidfile=${join(folder, "turnserver.pid")}`,
    "log-file=/dev/null",
    "no-stdout-log",
  ];
  writeFileSync(file, `${lines.join("\n")}\n`);
  return stage.start([...topology.asServer, turnserver, "-c", file], { folder });
}

/** With a certificate it takes TLS on every port that it takes TCP on. */
function tlsOf(transport: Place["transport"], folder: string): string[] {
  if (transport !== "tls") return ["no-tls"];
  const { certificate, key } = makeCertificate(folder);
  return [`cert=${certificate}`, `pkey=${key}`];
}
