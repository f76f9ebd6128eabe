// Runs a program of somebody else's to its end.

import { spawn } from "node:child_process";

/** What a program printed on both its outputs, and how it ended. It is killed after `deadlineSeconds`. */
export interface Outcome {
  readonly output: string;
  readonly exitCode: number | null;
}

/** Of Debian's stun-client, with its path: npm puts another program of this name first. */
export const debianStun = "/usr/bin/stun";

/** With `env` beside our own environment. */
export async function run(
  program: string,
  args: readonly string[],
  deadlineSeconds = 60,
  env: NodeJS.ProcessEnv = {},
): Promise<Outcome> {
  const child = spawn(program, args, {
    stdio: ["ignore", "pipe", "pipe"],
    timeout: deadlineSeconds * 1000,
    env: { ...process.env, ...env },
  });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  return { output, exitCode };
}
