// What is said and with which exit code, when there is nothing to run.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import about from "../../package.json" with { type: "json" };
import { newFolder, startSluice } from "./sluice-process.ts";

async function run(...args: string[]) {
  const { ended, stdout, stderr } = startSluice(args);
  const code = await ended;
  return { code, stdout: stdout(), stderr: stderr() };
}

describe("sluice", () => {
  test("says its version", async () => {
    expect(await run("--version")).toEqual({ code: 0, stdout: `${about.version}\n`, stderr: "" });
  });

  test("names its commands", async () => {
    const { code, stdout } = await run("--help");
    expect(code).toBe(0);
    expect(stdout).toMatch(/serve .*\n.*check-config .*\n.*discover (?:.*\n)+ +users /);
  });
});

describe("a command line that is wrong", () => {
  test.each([
    [["sreve"], "error: unknown command 'sreve'\n(Did you mean serve?)\n"],
    [["serve", "--confg", "x"], "error: unknown option '--confg'\n(Did you mean --config?)\n"],
    [["users", "add"], "error: missing required argument 'name'\n"],
  ])("%j is told of, and exits with 64", async (args, stderr) => {
    expect(await run(...args)).toEqual({ code: 64, stdout: "", stderr });
  });
});

describe("sluice check-config", () => {
  test("finds nothing wrong with the reference", async () => {
    const reference = fileURLToPath(new URL("../../config/sluice.yaml", import.meta.url));
    expect(await run("check-config", reference)).toEqual({
      code: 0,
      stdout: `${reference}: no mistakes\n`,
      stderr: "",
    });
  });

  test("lists every mistake with its place and exits with 78", async () => {
    const file = join(newFolder(), "sluice.yaml");
    writeFileSync(file, "relm: x\nloopback: perhaps\nsecret: { env: NOT_THERE }\n");
    expect(await run("check-config", file)).toEqual({
      code: 78,
      stdout: "",
      stderr: [
        `${file}:1:1: relm: unknown key; did you mean realm?`,
        `${file}:2:11: loopback: expected boolean, received string`,
        `${file}:3:9: secret.0: the environment has no NOT_THERE`,
        "",
      ].join("\n"),
    });
  });

  test("exits with 78 for a file that is not there", async () => {
    const { code, stderr } = await run("check-config", "/nowhere/sluice.yaml");
    expect(code).toBe(78);
    expect(stderr).toMatch(/^\/nowhere\/sluice.yaml: ENOENT/);
  });
});
