// How a command fails: what it says on stderr, and the code it exits with (those of sysexits.h).

import { ConfigError } from "../config/mistakes.ts";
import { Unavailable } from "../contract.ts";
import { systemCodeOf } from "../thrown.ts";

const exitCodes = { unavailable: 69, config: 78 } as const;

/** What an operator can do about errors of the system, where its own words do not say. */
const cures: Readonly<Record<string, string>> = {
  EADDRINUSE: "another program has it",
  EADDRNOTAVAIL: "this machine has no such address",
  "EACCES listen": "ports below 1024 are for root, and for who has CAP_NET_BIND_SERVICE",
  "EACCES bind": "ports below 1024 are for root, and for who has CAP_NET_BIND_SERVICE",
  EMFILE: "too many files are open: raise the limit (LimitNOFILE)",
};

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
  if (cause instanceof Error && !message.includes(cause.message)) return `${message}: ${withCauses(cause)}`;
  const cure = cureOf(cause instanceof Error ? cause : error);
  return cure === undefined ? message : `${message} (${cure})`;
}

/** Permission is refused for many a reason; where it is for a port, the message begins with what was tried. */
function cureOf(error: Error): string | undefined {
  const code = systemCodeOf(error) ?? "";
  const [tried = ""] = error.message.split(" ", 1);
  return cures[code] ?? cures[`${code} ${tried}`];
}
