// `sluice users add|remove|list`: the users file, without an editor. Passwords come from stdin or are made here; they are
// never arguments, which every user of the machine can see.

import { randomBytes } from "node:crypto";
import { resolve } from "node:path";
import { Command } from "commander";
import { changeUsersFile, readUsersFileNow } from "../accounts/users-file.ts";
import { mistakeInPlace, userLine, withoutUser, withUser } from "../accounts/users-text.ts";
import { readConfig } from "../config/config.ts";
import { mistakeAt } from "../config/mistakes.ts";
import { usersIn } from "../config/users-file.ts";
import { telling } from "./failures.ts";

interface Flags {
  readonly usersFile?: string;
  readonly config?: string;
  readonly realm?: string;
}

interface AddFlags extends Flags {
  readonly passwordStdin?: true;
}

export function usersCommand(): Command {
  return new Command("users")
    .summary("keep the users file")
    .addCommand(
      onUsersFile("add")
        .summary("add a user, or change the password")
        .description("Adds a user, or changes the password. Without --password-stdin it makes one and prints it.")
        .argument("<name>")
        .option("--password-stdin", "take the password from standard input")
        .action((name: string, flags: AddFlags) => telling(() => add(name, flags))),
    )
    .addCommand(
      onUsersFile("remove")
        .summary("remove a user")
        .argument("<name>")
        .action((name: string, flags: Flags) => telling(() => remove(name, flags))),
    )
    .addCommand(
      onUsersFile("list")
        .summary("name the users of the realm")
        .action((flags: Flags) => telling(() => list(flags))),
    );
}

function onUsersFile(name: string): Command {
  return new Command(name)
    .option("--users-file <file>", "the file; that of the configuration if none is given")
    .option("--config <file>", "the configuration, for the file and the realm")
    .option("--realm <realm>", "the realm; that of the configuration, or its default, if none is given");
}

async function add(name: string, flags: AddFlags): Promise<void> {
  const { file, realm } = placeOf(flags);
  const mistake = mistakeInPlace(name, realm);
  if (mistake !== undefined) throw mistakeAt({}, mistake);
  const password = flags.passwordStdin ? await passwordFromStdin() : randomBytes(18).toString("base64url");
  changeUsersFile(file, (text) => {
    usersIn(file, text);
    return withUser(text, userLine(name, realm, password));
  });
  if (!flags.passwordStdin) process.stdout.write(`${password}\n`);
}

function remove(name: string, flags: Flags): void {
  const { file, realm } = placeOf(flags);
  changeUsersFile(file, (text) => {
    const isThere = usersIn(file, text).some((user) => user.name === name && user.realm === realm);
    if (!isThere) throw mistakeAt({ file }, `there is no user ${name} of the realm ${realm}`);
    return withoutUser(text, name, realm);
  });
}

function list(flags: Flags): void {
  const { file, realm } = placeOf(flags);
  const users = usersIn(file, readUsersFileNow(file)).filter((user) => user.realm === realm);
  process.stdout.write(users.map(({ name }) => `${name}\n`).join(""));
}

function placeOf({ config: file, realm, usersFile }: Flags): { file: string; realm: string } {
  const written = { realm, "users-file": usersFile && resolve(usersFile) };
  const flags = Object.fromEntries(Object.entries(written).filter(([, value]) => value !== undefined));
  const config = readConfig({ file, flags });
  if (config.usersFile === undefined) {
    throw mistakeAt({ path: "--users-file" }, "is missing, and the configuration names none");
  }
  return { file: config.usersFile, realm: config.realm };
}

/** Without the line end that closes it. */
async function passwordFromStdin(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  const password = Buffer.concat(chunks)
    .toString("utf8")
    .replace(/\r?\n$/, "");
  if (password !== "") return password;
  throw mistakeAt({ path: "--password-stdin" }, "the password is empty");
}
