// The load generator (load.cpp) as the suite sees it: one process a server, one question at a time over its stdin.

import { createInterface, type Interface } from "node:readline";
import { longTermKey } from "../../src/stun/keys.ts";
import { account, type ClientTransport } from "../servers/place.ts";
import type { Server } from "../servers/server.ts";
import type { Program, Stage } from "../servers/stage.ts";
import type { Topology } from "../topology.ts";
import { compiled } from "./compiled.ts";

/** `direct` goes from clients to peers past the server: what the generator can do by itself. */
export type Direction = "to-peer" | "to-client" | "echo" | "relay-to-relay" | "direct";

export interface ForwardOptions {
  readonly direction: Direction;
  readonly framing: "channel" | "indication";
  /** Bytes of payload in a packet. */
  readonly size: number;
  readonly clients: number;
  /** Packets of one client in a row. */
  readonly burst: number;
  /** Packets under way at once. */
  readonly underway: number;
  readonly seconds: number;
  /** Packets a second; 0 for as many as may be under way. */
  readonly rate: number;
}

export interface ForwardResult {
  readonly sent: number;
  /** Packets that came out of the relay while it was measured. */
  readonly forwarded: number;
  readonly lost: number;
  /** Not what was sent, or not where it belongs. */
  readonly corrupt: number;
  readonly reordered: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
  /** Share of its turns in which the generator had to wait for the server. */
  readonly fullShare: number;
  readonly p50Microseconds: number;
  readonly p99Microseconds: number;
}

export interface RequestsResult {
  readonly done: number;
  /** Unanswered, or asked again. */
  readonly lost: number;
  readonly corrupt: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
}

/** RFC 8656 section 9: a permission lasts 300 seconds, so renew well before. */
const renewAfterMillis = 120_000;

export class LoadGenerator {
  readonly #program: Program;
  readonly #answers: AsyncIterator<string>;
  readonly #server: Server;
  #renewedAt = Date.now();

  constructor(stage: Stage, topology: Topology, server: Server, transport: ClientTransport) {
    const { username, realm, password } = account;
    const options = {
      server: server.at.address,
      port: server.at.port,
      transport,
      clients: topology.firstClient,
      peers: topology.firstPeer,
      username,
      realm,
      key: Buffer.from(longTermKey(username, realm, password)).toString("hex"),
      pids: [server.program.pid, ...topology.kernelThreads].join(","),
    };
    this.#server = server;
    this.#program = stage.start([...topology.asLoad, compiled("load"), ...words(options)]);
    this.#answers = linesOf(this.#program)[Symbol.asyncIterator]();
  }

  /** Brings the number of clients that have an allocation, and in it a channel to their peer, up to this. */
  async allocate(clients: number): Promise<void> {
    await this.#ask("allocate", { clients });
  }

  /** Binds channels between the clients, two and two, for `relay-to-relay`. */
  async pair(): Promise<void> {
    await this.#ask("pair", {});
  }

  async forward(options: ForwardOptions): Promise<ForwardResult> {
    if (Date.now() - this.#renewedAt > renewAfterMillis) {
      await this.#ask("renew", {});
      this.#renewedAt = Date.now();
    }
    return (await this.#ask("forward", { ...options })) as ForwardResult;
  }

  async askForBindings(options: { clients: number; underway: number; seconds: number }): Promise<RequestsResult> {
    return (await this.#ask("binding", options)) as RequestsResult;
  }

  /** Allocations made and given back, with a permission and a channel in between or without. */
  async churn(options: { isWithChannel: boolean; underway: number; seconds: number }): Promise<RequestsResult> {
    const { isWithChannel, ...rest } = options;
    return (await this.#ask("churn", { ...rest, channel: isWithChannel ? 1 : 0 })) as RequestsResult;
  }

  async stop(): Promise<void> {
    await this.#program.stop();
  }

  async #ask(command: string, options: Readonly<Record<string, string | number>>): Promise<unknown> {
    this.#program.child.stdin?.write(`${[command, ...words(options)].join(" ")}\n`);
    const { value, done } = await this.#answers.next();
    const answer = done ? { problem: "the load generator ended" } : JSON.parse(value);
    if (!answer.problem) return answer;
    throw new Error(`${this.#server.name}: ${answer.problem}\n${this.#server.program.lastWords()}`.trimEnd());
  }
}

function words(options: Readonly<Record<string, string | number>>): string[] {
  return Object.entries(options).map(([name, value]) => `${name}=${value}`);
}

function linesOf({ child }: Program): Interface {
  if (!child.stdout) throw new Error("the generator has no stdout");
  return createInterface({ input: child.stdout });
}
