// A file of somebody else's, changed whole or not at all, with what it was kept beside it.

import {
  closeSync,
  constants,
  copyFileSync,
  fchmodSync,
  fchownSync,
  fsyncSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { Unavailable } from "../../contract.ts";

/**
 * Puts what `change` makes of its text in the file's place, and returns the path of the backup; undefined if that is the
 * same text. Owner and rights stay. Throws `Unavailable`, or what `change` throws, and then the file is as it was.
 */
export function replaceFile(path: string, stamp: string, change: (text: string) => string): string | undefined {
  const { target, before } = read(path);
  const after = change(before);
  if (after === before) return undefined;
  const backup = `${target}.${stamp}.bak`;
  const draft = `${target}.${stamp}.new`;
  try {
    const file = openSync(draft, "wx", 0o600);
    try {
      const { uid, gid, mode } = statSync(target);
      writeFileSync(file, after);
      fchownSync(file, uid, gid);
      fchmodSync(file, mode & 0o777);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    copyFileSync(target, backup, constants.COPYFILE_EXCL);
    renameSync(draft, target);
    return backup;
  } catch (cause) {
    rmSync(draft, { force: true });
    throw new Unavailable(`cannot change ${path}`, { cause });
  }
}

function read(path: string): { target: string; before: string } {
  try {
    const target = realpathSync(path);
    return { target, before: readFileSync(target, "utf8") };
  } catch (cause) {
    throw new Unavailable(`cannot read ${path}`, { cause });
  }
}
