// The program as an operator runs it: a process with a state folder of its own, always stopped.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, inject, onTestFinished, vi } from "vitest";

const program = fileURLToPath(new URL("../../dist/main.js", import.meta.url));

export interface SluiceProcess {
  readonly pid: number;
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** Of both. */
  readonly output: () => string;
  /** Resolves when it has printed all of these; fails when it ends before. */
  printed(...patterns: RegExp[]): Promise<void>;
  kill(signal: NodeJS.Signals): void;
  /** As `| head` does when it has seen enough. */
  stopReading(): void;
  /** Resolves with the exit code, or the signal it died of. */
  readonly ended: Promise<number | NodeJS.Signals>;
}

/** A folder that is gone when the test is over. */
export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "sluice-cli-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Starts `sluice` with these arguments; it is killed when the test is over. */
export function startSluice(args: readonly string[], env: NodeJS.ProcessEnv = {}): SluiceProcess {
  return start([process.execPath, program, ...args], env);
}

/** The same with a terminal of its own, apart from what a shell redirects. */
export function startOnTerminal(args: readonly string[], redirection = ""): SluiceProcess {
  const command = [process.execPath, program, ...args].map((word) => `'${word}'`).join(" ");
  return start(["script", "--quiet", "--return", "--command", `exec ${command}${redirection}`, "/dev/null"]);
}

function start([command = "", ...args]: readonly string[], env: NodeJS.ProcessEnv = {}): SluiceProcess {
  expect(inject("buildFaults")).toBe("");
  const child = spawn(command, args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, STATE_DIRECTORY: newFolder(), ...env },
  });
  const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
  const output = () => stdout() + stderr();
  const ended = endOf(child);
  onTestFinished(async () => {
    // A relay takes the end of its terminal for a wish to read files anew, and lives on.
    for (const inner of childrenOf(child)) process.kill(inner, "SIGKILL");
    child.kill("SIGKILL");
    await ended;
  });
  return {
    pid: child.pid ?? 0,
    stdout,
    stderr,
    output,
    ended,
    kill: (signal) => child.kill(signal),
    stopReading: () => void child.stdout.destroy(),
    async printed(...patterns) {
      const found = vi.waitFor(() => patterns.forEach((pattern) => void expect(output()).toMatch(pattern)), 15_000);
      const died = ended.then((end) => Promise.reject(new Error(`ended with ${end}: ${output()}`)));
      await Promise.race([found, died]);
    },
  };
}

function collect(stream: NodeJS.ReadableStream): () => string {
  let text = "";
  stream.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  return () => text;
}

async function endOf(child: ChildProcess): Promise<number | NodeJS.Signals> {
  const [code, signal] = await once(child, "close");
  return code ?? signal;
}

/** Those of a process that runs, by id. */
function childrenOf({ pid, exitCode, signalCode }: ChildProcess): number[] {
  if (pid === undefined || exitCode !== null || signalCode !== null) return [];
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number);
}
