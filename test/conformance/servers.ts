// Servers to put the requirements to, each a process of its own on loopback with a folder of its own: Sluice as it is
// built in dist/, and coturn as Debian has it. Run from the root of the project.

import { type ChildProcess, spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { Bench, type ClientOptions, credentialSeconds, restCredential, type Subject } from "./bench.ts";
import type { Connect, Transport } from "./connection.ts";

export interface RunningServer {
  readonly subject: Subject;
  stop(): Promise<void>;
}

const secret = "hush";
/** The second one of a server for NAT behaviour discovery (RFC 5780). */
const alternateAddress = "127.0.0.9";
const readyWithinMilliseconds = 15_000;

function hasIpv6(): boolean {
  return Object.values(networkInterfaces()).some((each) => each?.some(({ address }) => address === "::1"));
}

async function freePort(): Promise<number> {
  const socket = createSocket("udp4").bind(0, "127.0.0.1");
  await once(socket, "listening");
  const { port } = socket.address();
  socket.close();
  await once(socket, "close");
  return port;
}

/** Users by the shared secret, and peers on other loopback addresses than the server's. */
function subjectAt(port: number): Subject {
  const until = Math.floor(Date.now() / 1000) + credentialSeconds;
  return {
    servers: ["127.0.0.1", ...(hasIpv6() ? ["::1"] : [])].map((address) => ({ address, port })),
    credentials: ["conformance", "another"].map((user) => restCredential(secret, `${until}:${user}`)),
    secret,
    peerAddresses: ["127.0.0.2", "127.0.0.3", ...(hasIpv6() ? ["::1"] : [])],
  };
}

/** Starts a program with a configuration, and resolves when it answers on every address. */
async function start(
  program: string,
  args: readonly string[],
  connect: Subject["connect"],
  configuration: (port: number, alternatePort: number) => string,
): Promise<RunningServer> {
  const folder = mkdtempSync(join(tmpdir(), "conformance-"));
  const file = join(folder, "configuration");
  const port = await freePort();
  const subject = { ...subjectAt(port), ...(connect ? { connect } : {}) };
  writeFileSync(file, configuration(port, await freePort()));
  const child = spawn(program, [...args, file], {
    cwd: folder,
    stdio: "ignore",
    env: { ...process.env, STATE_DIRECTORY: folder },
  });
  const ended = endOf(child);
  const stop = async () => {
    child.kill("SIGKILL");
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await Promise.race([ready(subject), ended.then((why) => Promise.reject(new Error(`${program} ended: ${why}`)))]);
  } catch (error) {
    await stop();
    throw error;
  }
  return { subject, stop };
}

async function endOf(child: ChildProcess): Promise<string> {
  try {
    const [code, signal] = await once(child, "exit");
    return `${code ?? signal}`;
  } catch (error) {
    return String(error);
  }
}

/** Asks until an answer comes, at every address over UDP and over TCP. */
async function ready(subject: Subject): Promise<void> {
  const deadline = Date.now() + readyWithinMilliseconds;
  const doors = subject.servers.flatMap((server) => [
    { server, transport: "udp" as const },
    { server, transport: "tcp" as const },
  ]);
  for (const door of doors) {
    while (!(await isAnswering(subject, door))) {
      if (Date.now() > deadline) throw new Error(`no answer from ${door.server.address} over ${door.transport}`);
    }
  }
}

async function isAnswering(subject: Subject, door: ClientOptions): Promise<boolean> {
  const bench = new Bench(subject);
  try {
    await (await bench.client(door)).mark();
    return true;
  } catch {
    return false;
  } finally {
    await bench.close();
  }
}

export interface SluiceOptions {
  /** Whether it has a second address and port (RFC 5780), which Sluice has off by default. */
  readonly natDiscovery?: boolean;
  readonly dataplane?: string;
  /** DTLS in place of plain UDP, and TLS in place of plain TCP. */
  readonly secure?: {
    readonly certificate: string;
    readonly key: string;
    readonly connect: Readonly<Record<Transport, Connect>>;
  };
}

export function startSluice({
  natDiscovery = false,
  dataplane = "auto",
  secure,
}: SluiceOptions = {}): Promise<RunningServer> {
  const addresses = hasIpv6() ? ["127.0.0.1", "[::1]"] : ["127.0.0.1"];
  const main = join(process.cwd(), "dist/main.js");
  const [datagrams, streams] = secure ? ["dtls", "tls"] : ["udp", "tcp"];
  return start(process.execPath, [main, "serve", "--config"], secure?.connect, (port, alternatePort) =>
    JSON.stringify({
      listen: addresses.flatMap((address) => [`${datagrams}://${address}:${port}`, `${streams}://${address}:${port}`]),
      ...(secure ? { tls: { certificate: secure.certificate, key: secure.key } } : {}),
      secret,
      realm: "example.org",
      "relay-address": hasIpv6() ? ["127.0.0.1", "::1"] : ["127.0.0.1"],
      ...(natDiscovery
        ? { "nat-discovery": { "alternate-address": alternateAddress, "alternate-port": alternatePort } }
        : {}),
      dataplane,
      "relay-tcp": true,
      loopback: true,
      metrics: "none",
    }),
  );
}

/** With `natDiscovery` it has a second address and port, which is what makes coturn serve RFC 5780. */
export function startCoturn({ natDiscovery = false } = {}): Promise<RunningServer> {
  const addresses = hasIpv6() ? ["127.0.0.1", "::1"] : ["127.0.0.1"];
  // Its second address has to come right behind the first of the family.
  const listening = addresses.toSpliced(1, 0, ...(natDiscovery ? [alternateAddress] : []));
  return start("turnserver", ["-c"], undefined, (port, alternatePort) =>
    [
      `listening-port=${port}`,
      `alt-listening-port=${alternatePort}`,
      ...listening.map((address) => `listening-ip=${address}`),
      ...addresses.map((address) => `relay-ip=${address}`),
      "allow-loopback-peers",
      "use-auth-secret",
      `static-auth-secret=${secret}`,
      "realm=example.org",
      "no-cli",
      "no-tls",
      "no-dtls",
      "userdb=users",
      "pidfile=pid",
      "log-file=log",
      "simple-log",
    ].join("\n"),
  );
}
