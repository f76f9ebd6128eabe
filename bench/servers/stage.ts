// Everything that the suite starts, so that it can be sure to have ended all of it: programs by their pid, and folders.

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Program {
  readonly pid: number;
  readonly child: ChildProcess;
  /** Resolves when it has ended, by itself or because it was stopped. */
  readonly gone: Promise<void>;
  /** The last of what it printed. */
  lastWords(): string;
  stop(): Promise<void>;
}

export class Stage {
  readonly #endings = new Set<() => void | Promise<void>>();
  #isClosed = false;

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** `end` runs when the stage closes, unless it is called earlier through what this returns. */
  onClose(end: () => void | Promise<void>): () => Promise<void> {
    const once = async () => {
      if (this.#endings.delete(once)) await end();
    };
    this.#endings.add(once);
    return once;
  }

  /** Ends what is still there, the youngest first. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const end of [...this.#endings].reverse()) await end();
  }

  newFolder(name: string): string {
    const folder = mkdtempSync(join(tmpdir(), `sluice-bench-${name}-`));
    this.onClose(() => rmSync(folder, { recursive: true, force: true }));
    return folder;
  }

  /**
   * Starts a program, which ends with this process even if that is killed. `command` must not fork before the program
   * itself runs, so that the pid is the program's.
   */
  start(command: readonly string[], options: { readonly folder?: string } = {}): Program {
    if (this.#isClosed) throw new Error("the suite was stopped");
    const child = spawn("setpriv", ["--pdeathsig", "KILL", ...command], {
      cwd: options.folder,
      stdio: ["pipe", "pipe", "pipe"],
    });
    let words = "";
    const keep = (text: string) => {
      words = (words + text).slice(-2000);
    };
    child.stderr.setEncoding("utf8").on("data", keep);
    child.stdout.setEncoding("utf8").on("data", keep);
    child.stdin.on("error", ({ message }) => keep(message));
    const gone = new Promise<void>((resolve) => {
      child.once("close", () => resolve());
      child.once("error", (problem) => {
        keep(problem.message);
        resolve();
      });
    });
    const stop = this.onClose(async () => {
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGTERM");
      const impatience = setTimeout(() => child.kill("SIGKILL"), 3000);
      await gone;
      clearTimeout(impatience);
    });
    return { pid: child.pid ?? 0, child, gone, lastWords: () => words, stop };
  }
}
