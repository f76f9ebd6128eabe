// The command `npm run conformance -- HOST:PORT`: which of the requirements a running STUN and TURN server meets.

import { lookup } from "node:dns/promises";
import { writeFileSync } from "node:fs";
import { isIP } from "node:net";
import { parseArgs } from "node:util";
import { credentialSeconds, restCredential, type Subject } from "./bench.ts";
import type { Credential } from "./client.ts";
import { localAddressTowards } from "./connection.ts";
import { line, summary } from "./report.ts";
import { run } from "./run.ts";
import type { Endpoint } from "./wire.ts";

const usage = `usage: npm run conformance -- HOST:PORT [[IPV6]:PORT] [options]
  --user NAME:PASSWORD   a user the server knows; a second one is "another user" in the tests that need it
  --secret S             the server's shared secret, for time-limited credentials
  --peer ADDRESS         an address of this machine that peers bind and the server can reach; give two of IPv4, and ::1
                         or another for IPv6. Default: 127.0.0.2, 127.0.0.3 and ::1 for a server on loopback
  --json FILE            writes the findings there too
The server must allow its users to reach these addresses. Exit status 1 when a MUST or MUST NOT fails.`;

async function endpointOf(text: string): Promise<Endpoint> {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined) throw new Error(`not HOST:PORT: ${text}`);
  return { address: isIP(host) ? host : (await lookup(host)).address, port: Number(port) };
}

function credentialsOf(users: readonly string[], secret: string | undefined): Credential[] {
  const fixed = users.map((user) => {
    const colon = user.indexOf(":");
    return { username: user.slice(0, colon), password: user.slice(colon + 1) };
  });
  if (secret === undefined) return fixed;
  const until = Math.floor(Date.now() / 1000) + credentialSeconds;
  return [...fixed, restCredential(secret, `${until}:conformance`), restCredential(secret, `${until}:another`)];
}

async function subjectOf(): Promise<{ subject: Subject; json: string | undefined }> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      user: { type: "string", multiple: true, default: [] },
      secret: { type: "string" },
      peer: { type: "string", multiple: true, default: [] },
      json: { type: "string" },
    },
  });
  const servers = await Promise.all(positionals.map(endpointOf));
  const [server] = servers;
  if (!server) throw new Error("no server given");
  const local = await localAddressTowards(server);
  const usual = local.startsWith("127.") || local === "::1" ? ["127.0.0.2", "127.0.0.3", "::1"] : [local];
  const subject = {
    servers,
    credentials: credentialsOf(values.user, values.secret),
    ...(values.secret === undefined ? {} : { secret: values.secret }),
    peerAddresses: values.peer.length > 0 ? values.peer : usual,
  };
  return { subject, json: values.json };
}

async function main(): Promise<number> {
  const { subject, json } = await subjectOf();
  const findings = await run(subject, (finding) => console.log(line(finding)));
  console.log(summary(findings));
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(findings, undefined, 2)}\n`);
  return findings.some(({ result, level }) => result === "fail" && level.startsWith("MUST")) ? 1 : 0;
}

process.exitCode = await main().catch((error: unknown) => {
  console.error(`${error instanceof Error ? error.message : error}\n${usage}`);
  return 2;
});
