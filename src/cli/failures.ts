// How a command fails: what it says on stderr, and the code it exits with (those of sysexits.h).

import { ConfigError } from "../config/mistakes.ts";
import { Unavailable } from "../contract.ts";

const exitCodes = { unavailable: 69, config: 78 } as const;

/** Runs a command. Its own faults go up; the environment's and the operator's are told, and end in an exit code. */
export async function telling(command: () => Promise<void> | void): Promise<void> {
  try {
    await command();
  } catch (error) {
    if (error instanceof ConfigError) {
      fail(error.message, exitCodes.config);
    } else if (error instanceof Unavailable) {
      fail(withCauses(error), exitCodes.unavailable);
    } else throw error;
  }
}

function fail(text: string, code: number): void {
  process.stderr.write(`${text}\n`);
  process.exitCode = code;
}

function withCauses(error: Error): string {
  const { message, cause } = error;
  return cause instanceof Error && !message.includes(cause.message) ? `${message}: ${withCauses(cause)}` : message;
}
