// The shared secret that the relay makes for itself when the operator gives none, kept from one start to the next.

import { randomBytes } from "node:crypto";
import { accessSync, constants, linkSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { Unavailable } from "../contract.ts";
import { reasonOf, systemCodeOf } from "../thrown.ts";

/**
 * The folder for what must outlive the process: the one asked for; `$STATE_DIRECTORY`, which systemd sets;
 * /var/lib/sluice for root, if it may write there; else $XDG_STATE_HOME/sluice or ~/.local/state/sluice.
 */
export function stateFolder(
  asked: string | undefined,
  env: Readonly<Record<string, string | undefined>> = process.env,
  isRoot: boolean = process.getuid?.() === 0,
): string {
  const systemd = env.STATE_DIRECTORY?.split(":")[0];
  if (asked ?? systemd) return resolve(asked ?? systemd ?? "");
  if (isRoot && isWritable("/var/lib")) return "/var/lib/sluice";
  return join(env.XDG_STATE_HOME || join(homedir(), ".local", "state"), "sluice");
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** Reads it, or makes it: 32 random bytes as text. Throws `Unavailable` when it cannot be kept, or is not kept well. */
export function keptSecret(folder: string, name = "secret"): string {
  const path = join(folder, name);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    refuseOthers(folder, 0o022, "write to", "chmod go-w");
    return readSecret(path) ?? makeSecret(path);
  } catch (error) {
    if (error instanceof Unavailable) throw error;
    throw new Unavailable(
      `cannot keep a secret in ${folder}: ${reasonOf(error)} (give a secret, or another folder as state)`,
      {
        cause: error,
      },
    );
  }
}

function readSecret(path: string): string | undefined {
  if (!statSync(path, { throwIfNoEntry: false })) return undefined;
  refuseOthers(path, 0o077, "read", "chmod 600");
  const secret = readFileSync(path, "utf8").trim();
  if (secret === "") throw new Unavailable(`${path} is empty: remove it, and the next start makes a new secret`);
  return secret;
}

/** Whole or not at all, also when the disk is full; and of two first starts at once, one wins. */
function makeSecret(path: string): string {
  const draft = `${path}.${randomBytes(8).toString("hex")}`;
  try {
    writeFileSync(draft, `${randomBytes(32).toString("base64url")}\n`, { mode: 0o600, flag: "wx", flush: true });
    linkSync(draft, path);
  } catch (error) {
    if (systemCodeOf(error) !== "EEXIST") throw error;
  } finally {
    rmSync(draft, { force: true });
  }
  return readFileSync(path, "utf8").trim();
}

function refuseOthers(path: string, bits: number, deed: string, cure: string): void {
  const mode = statSync(path).mode & 0o777;
  if (process.platform === "win32" || (mode & bits) === 0) return;
  throw new Unavailable(`others may ${deed} ${path} (mode ${mode.toString(8).padStart(4, "0")}): ${cure} ${path}`);
}
