// A WebRTC call in a process of its own (webrtc-call.mjs), from when its peers are connected until it is hung up.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface, type Interface } from "node:readline";
import { fileURLToPath } from "node:url";

/** As node-datachannel wants it. */
export interface IceServer {
  readonly hostname: string;
  readonly port: number;
  readonly username: string;
  readonly password: string;
}

/** Messages, counted by the peer that sent them. */
export interface CallOutcome {
  readonly sent: number;
  readonly echoed: number;
  readonly lost: number;
}

const program = fileURLToPath(new URL("./webrtc-call.mjs", import.meta.url));

export class WebrtcCall {
  readonly #child: ChildProcess;
  readonly #lines: Interface;
  readonly #ended: Promise<never>;

  /** Resolves when the peers talk. `discard` it in any case. */
  static async open(caller: IceServer, callee: IceServer): Promise<WebrtcCall> {
    const call = new WebrtcCall(caller, callee);
    try {
      await call.#line();
      return call;
    } catch (error) {
      call.discard();
      throw error;
    }
  }

  private constructor(caller: IceServer, callee: IceServer) {
    const child = spawn(process.execPath, [program, JSON.stringify(caller), JSON.stringify(callee)]);
    let errors = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      errors += text;
    });
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout });
    this.#ended = once(child, "close").then(([code]) =>
      Promise.reject(new Error(`the call ended (${code}): ${errors}`)),
    );
    this.#ended.catch(() => {});
  }

  /** Resolves when every echo has come back, or is not waited for any longer. */
  async hangUp(): Promise<CallOutcome> {
    const said = this.#line();
    this.#child.stdin?.end();
    return JSON.parse(await said);
  }

  discard(): void {
    this.#child.kill("SIGKILL");
  }

  async #line(): Promise<string> {
    const [line] = await Promise.race([once(this.#lines, "line"), this.#ended]);
    return line;
  }
}
