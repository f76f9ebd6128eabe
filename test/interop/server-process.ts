// A server program of somebody else's with a folder and ports of its own, started, restarted and always stopped.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { vi } from "vitest";

export interface ServerProgram {
  readonly program: string;
  readonly args: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly folder: string;
  /** TCP ports that are open when the server is ready. */
  readonly ports: readonly number[];
}

export class ServerProcess {
  readonly #server: ServerProgram;
  #child: ChildProcess | undefined;

  constructor(server: ServerProgram) {
    this.#server = server;
  }

  /** Resolves when every port is open. */
  async start(): Promise<void> {
    const { program, args, env, folder, ports } = this.#server;
    const child = spawn(program, args, {
      cwd: folder,
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        output += text;
      });
    }
    this.#child = child;
    process.once("exit", () => child.kill("SIGKILL"));
    const areOpen = vi.waitFor(() => Promise.all(ports.map(isOpen)), { timeout: 40_000, interval: 50 });
    const ended = once(child, "exit").then(([code]) => Promise.reject(new Error(`it ended with ${code}`)));
    await Promise.race([areOpen, ended]).catch((cause) => {
      throw new Error(`${program} did not start:\n${output}`, { cause });
    });
    ended.catch(() => {});
  }

  /** Resolves when the process has ended. */
  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    await ended;
  }

  /** Stops it for good: nothing of it is left behind. */
  async discard(): Promise<void> {
    await this.stop();
    rmSync(this.#server.folder, { recursive: true, force: true });
  }
}

export function newFolder(name: string): string {
  return mkdtempSync(join(tmpdir(), `sluice-${name}-`));
}

/** TCP ports of 127.0.0.1 that nobody has at the moment. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map((server) => once(server, "listening")));
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => once(server.close(), "close")));
  return ports;
}

async function isOpen(port: number): Promise<void> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
  } finally {
    socket.destroy();
  }
}
