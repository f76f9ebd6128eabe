// Who may come in, out of all that the operator names: users and secrets of the configuration, the users file, and
// whoever the auth hook knows.

import { AuthHook } from "../accounts/auth-hook.ts";
import { type WatchedUsers, watchUsers } from "../accounts/watched-users.ts";
import type { Log } from "../admin/log.ts";
import type { Config } from "../config/config.ts";
import type { Input, Millis } from "../contract.ts";
import { AskedUsers } from "../turn/asked-users.ts";
import {
  type Authenticate,
  authenticatingBy,
  authenticator,
  type MustAsk,
  type UsernameOf,
  usernamesByHash,
} from "../turn/credentials.ts";
import { HeldRequests, type Question } from "./held-requests.ts";

export interface Accounts {
  readonly authenticate: Authenticate;
  /** Undefined where a name may come that nobody has named before, and so cannot be told from its hash. */
  readonly usernameOf: UsernameOf | undefined;
  readonly mustAsk: MustAsk | undefined;
  /** Asks, and hands the request in again. */
  ask(question: Question): void;
  /** Hands an input in, once it is known what it means for who is asked about. */
  hand(input: Input): void;
  /** Reads the users file anew. */
  reload(): Promise<void>;
  stop(): void;
}

export interface AccountsOptions {
  readonly log: Log;
  readonly hand: (input: Input) => void;
  readonly now: () => Millis;
}

/** Rejects with `Unavailable` when the users file cannot be read or has mistakes. */
export async function openAccounts(config: Config, options: AccountsOptions): Promise<Accounts> {
  const configured = authenticator({ users: config.user, secrets: config.secret });
  const file = await usersOfFile(config, options.log);
  const listed = file ? authenticatingBy(configured, file.authenticate) : configured;
  const hooked = hookedUsers(config, options);
  if (config.relay && !hasSource(config)) {
    options.log.warn("there is neither a user nor a secret: nobody gets an allocation");
  }
  return {
    authenticate: hooked ? authenticatingBy(listed, hooked.asked.authenticate) : listed,
    usernameOf: usernamesOf(config),
    // Whoever is known here is nobody to ask about.
    mustAsk: hooked && ((username, now) => listed(username, now).length === 0 && hooked.asked.mustAsk(username, now)),
    ask: (question) => hooked?.held.hold(question),
    hand(input) {
      if (input.is === "hung-up") hooked?.held.forget(input.via);
      options.hand(input);
    },
    async reload() {
      await file?.reload();
    },
    stop() {
      file?.stop();
      hooked?.hook.stop();
    },
  };
}

function usernamesOf({ user, secret, usersFile, authHook, oauth, realm }: Config): UsernameOf | undefined {
  const areAllNamed = secret.length === 0 && usersFile === undefined && authHook === undefined && oauth === undefined;
  return areAllNamed ? usernamesByHash(user.keys(), realm) : undefined;
}

function hasSource({ user, usersFile, authHook, oauth, secret }: Config): boolean {
  const isAsked = usersFile !== undefined || authHook !== undefined || oauth !== undefined;
  return isAsked || user.size > 0 || secret.length > 0;
}

async function usersOfFile({ usersFile: path, realm }: Config, log: Log): Promise<WatchedUsers | undefined> {
  if (path === undefined) return undefined;
  return await watchUsers({ path, realm, report: (fact) => log.fact(fact) });
}

interface HookedUsers {
  readonly hook: AuthHook;
  readonly asked: AskedUsers;
  readonly held: HeldRequests;
}

function hookedUsers({ authHook, realm }: Config, { log, hand, now }: AccountsOptions): HookedUsers | undefined {
  if (!authHook) return undefined;
  const { url, key, deadlineMilliseconds: deadlineMillis, questionsAtOnce, cache } = authHook;
  const report = log.fact;
  const hook = new AuthHook({ url, key, realm, deadlineMillis, questionsAtOnce, now, report });
  const asked = new AskedUsers(cache);
  return { hook, asked, held: new HeldRequests({ asked, ask: (username) => hook.ask(username), hand, now }) };
}
