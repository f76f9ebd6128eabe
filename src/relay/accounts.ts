// Who may come in, out of all that the operator names: users and secrets of the configuration, and the users file.

import { type WatchedUsers, watchUsers } from "../accounts/watched-users.ts";
import type { Log } from "../admin/log.ts";
import type { Config } from "../config/config.ts";
import {
  type Authenticate,
  authenticatingBy,
  authenticator,
  type UsernameOf,
  usernamesByHash,
} from "../turn/credentials.ts";

export interface Accounts {
  readonly authenticate: Authenticate;
  /** Undefined where a name may come that nobody has named before, and so cannot be told from its hash. */
  readonly usernameOf: UsernameOf | undefined;
  /** Reads the users file anew. */
  reload(): Promise<void>;
  stop(): void;
}

/** Rejects with `Unavailable` when the users file cannot be read or has mistakes. */
export async function openAccounts(config: Config, log: Log): Promise<Accounts> {
  const configured = authenticator({ users: config.user, secrets: config.secret });
  const file = await usersOfFile(config, log);
  return {
    authenticate: file ? authenticatingBy(configured, file.authenticate) : configured,
    usernameOf: usernamesOf(config),
    async reload() {
      await file?.reload();
    },
    stop: () => file?.stop(),
  };
}

function usernamesOf({ user, secret, usersFile, realm }: Config): UsernameOf | undefined {
  const areAllNamed = secret.length === 0 && usersFile === undefined;
  return areAllNamed ? usernamesByHash(user.keys(), realm) : undefined;
}

async function usersOfFile({ usersFile: path, realm }: Config, log: Log): Promise<WatchedUsers | undefined> {
  if (path === undefined) return undefined;
  return await watchUsers({ path, realm, report: (fact) => log.fact(fact) });
}
