// A slixmpp client in a process of its own, told what to do line by line.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface, type Interface } from "node:readline";
import { fileURLToPath } from "node:url";
import { password } from "./xmpp-server.ts";

/** What came of one step of a command. */
export interface CommandReply {
  readonly status?: "executing" | "completed" | "canceled";
  readonly actions?: readonly string[];
  readonly notes?: readonly string[];
  readonly fields?: Readonly<Record<string, string>>;
  readonly rows?: readonly (readonly string[])[];
  /** Type and conditions. */
  readonly error?: readonly string[];
}

export interface CommandStep {
  readonly action: "next" | "prev" | "complete" | "cancel";
  readonly fields?: Readonly<Record<string, string>>;
}

export class SlixmppClient {
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
  static async open(server: string, jid: string, responder: string): Promise<SlixmppClient> {
    const { hostname, port } = new URL(server);
    const program = fileURLToPath(new URL("slixmpp-commands.py", import.meta.url));
    const args = [program, jid, password, hostname, port, responder];
    // Of the distribution: another Python would not find its packages.
    const child = spawn("/usr/bin/python3", args, { stdio: ["pipe", "pipe", "pipe"] });
    process.once("exit", () => child.kill("SIGKILL"));
    const client = new SlixmppClient(child, createInterface({ input: child.stdout }));
    await client.#hear();
    return client;
  }

  /** Node and name, each. */
  commands(): Promise<[node: string, name: string][]> {
    return this.#ask({ list: true });
  }

  /** Every reply, that to the start first. */
  run(node: string, ...steps: CommandStep[]): Promise<CommandReply[]> {
    return this.#ask({ run: node, steps });
  }

  async close(): Promise<void> {
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await ended;
  }

  #ask<Answer>(order: unknown): Promise<Answer> {
    this.#child.stdin?.write(`${JSON.stringify(order)}\n`);
    return this.#hear();
  }

  async #hear<Answer>(): Promise<Answer> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`slixmpp ended: ${this.#errors}`);
    return JSON.parse(value);
  }
}
