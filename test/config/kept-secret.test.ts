// The secret that the relay makes for itself: kept whole, kept from others, or clearly not kept.

import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { keptSecret, stateFolder } from "../../src/config/kept-secret.ts";
import { Unavailable } from "../../src/contract.ts";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sluice-state-"));
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

describe("a kept secret", () => {
  test("is random, and the same at the next start", () => {
    const [here, there] = [join(folder, "here"), join(folder, "there")];
    const secret = keptSecret(here);
    expect(secret).toMatch(/^[\w-]{43}$/);
    expect(keptSecret(here)).toBe(secret);
    expect(keptSecret(there)).not.toBe(secret);
  });

  test("is for its owner alone", () => {
    const state = join(folder, "new", "state");
    keptSecret(state);
    expect(statSync(state).mode & 0o777).toBe(0o700);
    expect(statSync(join(state, "secret")).mode & 0o777).toBe(0o600);
    expect(readdirSync(state)).toEqual(["secret"]);
  });

  test("that others may read is not used", () => {
    keptSecret(folder);
    chmodSync(join(folder, "secret"), 0o644);
    expect(() => keptSecret(folder)).toThrow(/others may read .*secret \(mode 0644\): chmod 600/);
  });

  test("is not kept where others may write", () => {
    chmodSync(folder, 0o777);
    expect(() => keptSecret(folder)).toThrow(/others may write to .* \(mode 0777\): chmod go-w/);
    expect(readdirSync(folder)).toEqual([]);
  });

  test("that is empty is not used", () => {
    writeFileSync(join(folder, "secret"), "\n", { mode: 0o600 });
    expect(() => keptSecret(folder)).toThrow(/is empty/);
  });

  test("that cannot be kept is said to be so, with the reason and the way out", () => {
    const file = join(folder, "file");
    writeFileSync(file, "");
    expect(() => keptSecret(join(file, "state"))).toThrow(Unavailable);
    expect(() => keptSecret(join(file, "state"))).toThrow(/cannot keep a secret in .*: ENOTDIR.*give a secret/);
  });

  test("leaves nothing half made behind", () => {
    mkdirSync(join(folder, "secret"), { mode: 0o700 });
    expect(() => keptSecret(folder)).toThrow(Unavailable);
    expect(readdirSync(folder)).toEqual(["secret"]);
  });

  test("of another start that was faster is taken over", () => {
    const secret = keptSecret(folder);
    expect(readFileSync(join(folder, "secret"), "utf8")).toBe(`${secret}\n`);
    writeFileSync(join(folder, "secret"), "of-the-other\n", { mode: 0o600 });
    expect(keptSecret(folder)).toBe("of-the-other");
  });
});

describe("the state folder", () => {
  test.each([
    ["the one asked for", "/srv/x", { STATE_DIRECTORY: "/run/y" }, true, "/srv/x"],
    ["systemd's", undefined, { STATE_DIRECTORY: "/run/y:/run/z", XDG_STATE_HOME: "/home/s" }, true, "/run/y"],
    ["XDG's", undefined, { XDG_STATE_HOME: "/home/s" }, false, "/home/s/sluice"],
    ["the home's", undefined, {}, false, join(homedir(), ".local/state/sluice")],
  ])("is %s", (_, asked, env, isRoot, expected) => {
    expect(stateFolder(asked, env, isRoot)).toBe(expected);
  });
});
