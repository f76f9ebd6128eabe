// `sluice users`, as an operator types it.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, inject, test } from "vitest";
import { userLine } from "../../src/accounts/users-text.ts";
import { newFolder } from "./sluice-process.ts";

const program = fileURLToPath(new URL("../../dist/main.js", import.meta.url));

async function users(args: readonly string[], stdin = "") {
  expect(inject("buildFaults")).toBe("");
  const child = spawn(process.execPath, [program, "users", ...args]);
  const output = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (text: string) => {
      output[name] += text;
    });
  }
  child.stdin.on("error", () => {});
  child.stdin.end(stdin);
  const [code] = await once(child, "close");
  return { code, ...output };
}

describe("sluice users", { timeout: 60_000 }, () => {
  test("adds with a password from stdin, lists, changes and removes", async () => {
    const file = join(newFolder(), "users");
    const where = ["--users-file", file];
    const quiet = { code: 0, stdout: "", stderr: "" };
    expect(await users(["add", "alice", "--password-stdin", ...where], "wonderland\n")).toEqual(quiet);
    expect(readFileSync(file, "utf8")).toBe(`${userLine("alice", "sluice", "wonderland")}\n`);
    expect(statSync(file).mode & 0o777).toBe(0o600);

    await users(["add", "bob", "--password-stdin", ...where], "builder");
    await users(["add", "alice", "--password-stdin", ...where], "two words ");
    expect(await users(["list", ...where])).toEqual({ ...quiet, stdout: "alice\nbob\n" });
    expect(readFileSync(file, "utf8").split("\n")[0]).toBe(userLine("alice", "sluice", "two words "));

    expect(await users(["remove", "alice", ...where])).toEqual(quiet);
    expect(readFileSync(file, "utf8")).toBe(`${userLine("bob", "sluice", "builder")}\n`);
  });

  test("makes a password where it gets none, and prints it once", async () => {
    const file = join(newFolder(), "users");
    const { code, stdout } = await users(["add", "alice", "--users-file", file, "--realm", "example.org"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^[\w-]{24}\n$/);
    expect(readFileSync(file, "utf8")).toBe(`${userLine("alice", "example.org", stdout.trim())}\n`);
  });

  test("takes file and realm from the configuration", async () => {
    const folder = newFolder();
    const config = join(folder, "sluice.yaml");
    writeFileSync(config, "users-file: users\nrealm: example.org\n");
    await users(["add", "alice", "--password-stdin", "--config", config], "wonderland");
    expect(readFileSync(join(folder, "users"), "utf8")).toBe(`${userLine("alice", "example.org", "wonderland")}\n`);
  });

  test("says what is wrong, changes nothing and exits with 78", async () => {
    const file = join(newFolder(), "users");
    const where = ["--users-file", file];
    expect(await users(["remove", "alice", ...where])).toMatchObject({
      code: 78,
      stderr: `${file}: there is no user alice of the realm sluice\n`,
    });
    expect(await users(["add", "alice"])).toMatchObject({
      code: 78,
      stderr: "--users-file: is missing, and the configuration names none\n",
    });
    expect(await users(["add", "a:b", ...where])).toMatchObject({ code: 78 });
    expect(await users(["add", "alice", "--password-stdin", ...where], "\n")).toMatchObject({
      code: 78,
      stderr: "--password-stdin: the password is empty\n",
    });
    expect(existsSync(file)).toBe(false);

    writeFileSync(file, "nonsense\n");
    expect(await users(["add", "alice", ...where])).toMatchObject({
      code: 78,
      stderr: `${file}:1:1: expected name:realm:md5key or name:realm:md5key:sha256key\n`,
    });
    expect(readFileSync(file, "utf8")).toBe("nonsense\n");
  });
});
