// The command line: one file a command.

import { Command } from "commander";
import { checkConfigCommand } from "./check-config.ts";
import { discoverCommand } from "./discover.ts";
import { type StartRelay, serveCommand } from "./serve.ts";
import { setupCommand } from "./setup.ts";
import { usersCommand } from "./users.ts";
import { version } from "./version.ts";

/** As sysexits.h has it, so that a unit can tell it from what another start may mend. */
const wrongUsage = 64;

/** `argv` as Node gives it. What fails sets the process's exit code. */
export async function sluice(argv: readonly string[], startRelay: StartRelay): Promise<void> {
  const program = new Command("sluice")
    .description("A STUN and TURN server, and an XMPP component that hands out relay credentials.")
    .version(version())
    .addCommand(serveCommand(startRelay))
    .addCommand(checkConfigCommand())
    .addCommand(discoverCommand())
    .addCommand(usersCommand())
    .addCommand(setupCommand());
  for (const command of withSubcommands(program))
    command.exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : wrongUsage));
  await program.parseAsync(argv);
}

function withSubcommands(command: Command): readonly Command[] {
  return [command, ...command.commands.flatMap(withSubcommands)];
}
