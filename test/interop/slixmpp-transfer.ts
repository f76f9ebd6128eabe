// A slixmpp client that sends and takes files, in a process of its own, told what to do line by line.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface, type Interface } from "node:readline";
import { fileURLToPath } from "node:url";
import { password } from "./xmpp-server.ts";

export interface Transfer {
  readonly bytes?: number;
  readonly sha256?: string;
  /** Type and condition. */
  readonly error?: readonly string[];
}

export class TransferClient {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  #errors = "";

  private constructor(child: ChildProcess, lines: Interface) {
    this.#child = child;
    this.#lines = lines[Symbol.asyncIterator]();
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#errors += text;
    });
  }

  /** Resolves when it is online. `server` is `xmpp://host:port`. */
  static async open(server: string, jid: string): Promise<TransferClient> {
    const { hostname, port } = new URL(server);
    const program = fileURLToPath(new URL("slixmpp-transfer.py", import.meta.url));
    const args = [program, jid, password, hostname, port];
    // Of the distribution: another Python would not find its packages.
    const child = spawn("/usr/bin/python3", args, { stdio: ["pipe", "pipe", "pipe"] });
    process.once("exit", () => child.kill("SIGKILL"));
    const client = new TransferClient(child, createInterface({ input: child.stdout }));
    await client.#hear();
    return client;
  }

  send(bytes: number, to: string, options: { readonly offer?: boolean; readonly stopAfter?: number } = {}) {
    return this.#ask({ offer: false, ...options, send: bytes, to });
  }

  /** The next stream that comes to its end. */
  take(): Promise<Transfer> {
    return this.#ask({ take: true });
  }

  async close(): Promise<void> {
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await ended;
  }

  #ask(order: unknown): Promise<Transfer> {
    this.#child.stdin?.write(`${JSON.stringify(order)}\n`);
    return this.#hear();
  }

  async #hear(): Promise<Transfer> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`slixmpp ended: ${this.#errors}`);
    return JSON.parse(value);
  }
}
