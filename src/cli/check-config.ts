// `sluice check-config FILE`: every mistake in a file, or none. Its secrets and its users file are read, too, but not shown.

import { Command } from "commander";
import { readConfig } from "../config/config.ts";
import { checkUsersFile } from "../config/users-file.ts";
import { telling } from "./failures.ts";

export function checkConfigCommand(): Command {
  return new Command("check-config")
    .summary("report every mistake in a configuration file")
    .argument("<file>", "the file, as config/sluice.yaml shows it")
    .action((file: string) =>
      telling(() => {
        checkUsersFile(readConfig({ file }));
        process.stdout.write(`${file}: no mistakes\n`);
      }),
    );
}
