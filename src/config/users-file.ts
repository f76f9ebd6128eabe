// What a users file holds, or every mistake in it with its place.

import { readUsersFileNow } from "../accounts/users-file.ts";
import { type ListedUser, readUsers } from "../accounts/users-text.ts";
import { ConfigError } from "./mistakes.ts";

/** Throws `ConfigError`. */
export function usersIn(file: string, text: string): readonly ListedUser[] {
  const { users, mistakes } = readUsers(text);
  if (mistakes.length === 0) return users;
  throw new ConfigError(mistakes.map(({ line, message }) => ({ file, line, column: 1, path: "", message })));
}

/** Of a configuration that may name one. Throws `ConfigError`, or `Unavailable` where it cannot be read. */
export function checkUsersFile({ usersFile }: { readonly usersFile?: string }): void {
  if (usersFile !== undefined) usersIn(usersFile, readUsersFileNow(usersFile));
}
