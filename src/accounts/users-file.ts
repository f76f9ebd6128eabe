// A users file on disk: read whole, and changed whole or not at all. Its keys are as good as passwords, so it is for its
// owner, and at most its group, to read.

import {
  closeSync,
  fchmodSync,
  fchownSync,
  fsyncSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync,
} from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { Unavailable } from "../contract.ts";
import { reasonOf, systemCodeOf } from "../thrown.ts";

/** Some hundred thousand users, which are read in less than a second. */
const bytesAtMost = 16 * 1024 * 1024;

/** Rejects with `Unavailable`. */
export async function readUsersFile(path: string): Promise<string> {
  try {
    refuseLarge(await stat(path));
    return await readFile(path, "utf8");
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

/** For who has nobody to keep waiting. Throws `Unavailable`. */
export function readUsersFileNow(path: string): string {
  try {
    refuseLarge(statSync(path));
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

/**
 * Puts what `change` makes of its text in the file's place; a file that is not there counts as an empty one. Of two
 * changes at once, one fails. Throws `Unavailable`, or what `change` throws, and then the file is as it was.
 */
export function changeUsersFile(path: string, change: (text: string) => string): void {
  const target = targetOf(path);
  const draft = `${target}.new`;
  const file = openDraft(draft);
  try {
    const before = statSync(target, { throwIfNoEntry: false });
    writeFileSync(file, change(before ? readUsersFileNow(target) : ""));
    if (before) keepOwner(file, before);
    fsyncSync(file);
    renameSync(draft, target);
  } catch (error) {
    rmSync(draft, { force: true });
    throw systemCodeOf(error) === undefined ? error : unchangeable(path, error);
  } finally {
    closeSync(file);
  }
}

function refuseLarge({ size }: Stats): void {
  if (size > bytesAtMost) throw new Error(`it has more than ${bytesAtMost} bytes`);
}

/** What a symbolic link points at, so that the link stays one. */
function targetOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

/** The draft is the lock as well: whoever makes it may change the file. */
function openDraft(draft: string): number {
  try {
    return openSync(draft, "wx", 0o600);
  } catch (cause) {
    if (systemCodeOf(cause) !== "EEXIST") throw unchangeable(draft, cause);
    throw new Unavailable(`${draft} is there: another change is being made, or was cut off; then remove it`, { cause });
  }
}

/** When root changes the file, the relay must still be able to read it. */
function keepOwner(file: number, { uid, gid, mode }: Stats): void {
  if (process.platform === "win32") return;
  fchownSync(file, uid, gid);
  fchmodSync(file, 0o600 | (mode & 0o040));
}

function unreadable(path: string, cause: unknown): Unavailable {
  return new Unavailable(`cannot read the users file ${path}: ${reasonOf(cause)}`, { cause });
}

function unchangeable(path: string, cause: unknown): Unavailable {
  return new Unavailable(`cannot change the users file ${path}: ${reasonOf(cause)}`, { cause });
}
