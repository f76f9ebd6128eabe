// transfers.ts as the suite sees it: one process a server, one question at a time over its stdin.

import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Endpoint } from "../../src/contract.ts";
import type { Server } from "../servers/server.ts";
import type { Program, Stage } from "../servers/stage.ts";
import type { Topology } from "../topology.ts";

const program = fileURLToPath(new URL("./transfers.js", import.meta.url));

export interface TransferredPairs {
  readonly server: Endpoint;
  readonly peerAddress: string;
  readonly pairs: number;
  /** Whose CPU is the server's. */
  readonly pids: readonly number[];
}

export interface TransferOptions {
  readonly direction: "to-peer" | "to-client";
  readonly seconds: number;
}

export interface Transfer {
  readonly bytes: number;
  /** Bytes that were not what was sent. */
  readonly corrupt: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
}

export class Transfers {
  readonly #program: Program;
  readonly #answers: AsyncIterator<string>;

  private constructor(started: Program) {
    if (!started.child.stdout) throw new Error("no stdout");
    this.#program = started;
    this.#answers = createInterface({ input: started.child.stdout })[Symbol.asyncIterator]();
  }

  static async open(stage: Stage, topology: Topology, server: Server, pairs: number): Promise<Transfers> {
    const pids = [server.program.pid, ...topology.kernelThreads];
    const options: TransferredPairs = { server: server.at, peerAddress: topology.firstPeer, pairs, pids };
    const started = stage.start([...topology.asLoad, process.execPath, program, JSON.stringify(options)]);
    const transfers = new Transfers(started);
    await transfers.#next();
    return transfers;
  }

  async run(options: TransferOptions): Promise<Transfer> {
    this.#program.child.stdin?.write(`${JSON.stringify(options)}\n`);
    return (await this.#next()) as Transfer;
  }

  async stop(): Promise<void> {
    await this.#program.stop();
  }

  async #next(): Promise<unknown> {
    const { value, done } = await this.#answers.next();
    if (done) throw new Error(`transfers ended: ${this.#program.lastWords()}`);
    return JSON.parse(value);
  }
}
