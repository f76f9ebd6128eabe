// The users of a file, read again whenever it changes. Who was taken out of it is unknown from then on.

import { type FSWatcher, watch } from "node:fs";
import { stat } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { type Millis, Unavailable } from "../contract.ts";
import { reasonOf } from "../thrown.ts";
import type { Authenticate, Credential } from "../turn/credentials.ts";
import { readUsersFile } from "./users-file.ts";
import { type LineMistake, readUsers } from "./users-text.ts";

export type UsersFact =
  | { readonly fact: "users-read"; readonly users: number; readonly ofOtherRealms: number }
  /** Who was known before still is. */
  | { readonly fact: "users-unreadable"; readonly reason: string }
  | { readonly fact: "users-open-to-others"; readonly reason: string };

export interface WatchedUsersOptions {
  readonly path: string;
  /** Users of other realms are left out. */
  readonly realm: string;
  readonly report: (fact: UsersFact) => void;
  /** How often to look, where the system does not tell of changes: network folders, some containers. */
  readonly lookMillis?: Millis;
}

export interface WatchedUsers {
  readonly authenticate: Authenticate;
  /** Whether or not it has changed. */
  reload(): Promise<void>;
  stop(): void;
}

/** An editor writes in several steps. */
const settlingMillis = 100;
/** Of mistakes that are told. A file of something else altogether has one in each line. */
const mistakesTold = 20;

/** Rejects with `Unavailable` when the file cannot be read or has a mistake. */
export async function watchUsers(options: WatchedUsersOptions): Promise<WatchedUsers> {
  const { path, lookMillis = 2000 } = options;
  let stamp = await stampOf(path);
  let users = await read(options);
  /** One look after the other, so that what was read last is what counts. */
  let looked = Promise.resolve();
  let settling: NodeJS.Timeout | undefined;
  let isStopped = false;

  function look(seen?: string): void {
    looked = looked.then(() => reloadIfSettled(seen));
  }

  /** What has just changed may be half written. */
  async function reloadIfSettled(seen: string | undefined): Promise<void> {
    const found = await stampOf(path);
    if (found === stamp || isStopped) return;
    if (found === seen) return await reload();
    settling ??= setTimeout(() => {
      settling = undefined;
      look(found);
    }, settlingMillis).unref();
  }

  async function reload(): Promise<void> {
    stamp = await stampOf(path);
    try {
      users = await read(options);
    } catch (error) {
      options.report({ fact: "users-unreadable", reason: reasonOf(error) });
    }
  }

  const polls = setInterval(look, lookMillis).unref();
  const watcher = watchFolder(path, () => look());
  return {
    authenticate: (username) => users.get(username) ?? [],
    reload() {
      looked = looked.then(reload);
      return looked;
    },
    stop() {
      isStopped = true;
      clearInterval(polls);
      clearTimeout(settling);
      watcher?.close();
    },
  };
}

async function read({ path, realm, report }: WatchedUsersOptions): Promise<ReadonlyMap<string, readonly Credential[]>> {
  const { users, mistakes } = readUsers(await readUsersFile(path));
  if (mistakes.length > 0) throw new Unavailable(`the users file ${path} has mistakes:\n${described(mistakes)}`);
  const ours = users.filter((user) => user.realm === realm);
  report({ fact: "users-read", users: ours.length, ofOtherRealms: users.length - ours.length });
  if (process.platform !== "win32" && ((await stat(path)).mode & 0o007) !== 0) {
    report({ fact: "users-open-to-others", reason: `others may use ${path}: chmod o= ${path}` });
  }
  return new Map(ours.map(({ name, keys }) => [name, [{ user: name, keys, until: Number.POSITIVE_INFINITY }]]));
}

/** The folder, since the file itself is replaced. Where the system cannot tell, looking now and then must do. */
function watchFolder(path: string, changed: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(dirname(path), { persistent: false }, (_, name) => {
      if (name === null || name === basename(path)) changed();
    });
    return watcher.on("error", () => watcher.close());
  } catch {
    return undefined;
  }
}

/** Other bytes have another stamp, whether the file was written over or another one was put in its place. */
async function stampOf(path: string): Promise<string> {
  const stats = await stat(path, { bigint: true }).catch(reasonOf);
  return typeof stats === "string" ? stats : `${stats.ino} ${stats.size} ${stats.mtimeNs} ${stats.ctimeNs}`;
}

function described(mistakes: readonly LineMistake[]): string {
  const told = mistakes.slice(0, mistakesTold).map(({ line, message }) => `line ${line}: ${message}`);
  const more = mistakes.length - told.length;
  return [...told, ...(more > 0 ? [`and ${more} more`] : [])].join("\n");
}
