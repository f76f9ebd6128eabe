// Before any test: installs the programs of others that the tests run against, where it may, and builds the program, for
// the tests of the command line run what `npm start` runs.

import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { TestProject } from "vitest/node";
import { type DebianPackage, installMissingPackages } from "./debian-packages.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** What the compiler said; empty if all is well. */
    buildFaults: string;
  }
}

/** What the native plane is built with, as `npm ci` has already done where they were there. */
const buildTools = new Set<DebianPackage>(["g++", "make", "python3"]);

export function setup({ provide }: TestProject): void {
  const installed = installMissingPackages();
  const cwd = fileURLToPath(new URL("..", import.meta.url));
  if (installed.some((name) => buildTools.has(name))) {
    spawnSync("npm", ["run", "--silent", "build:native"], { cwd, stdio: "inherit" });
  }
  const build = spawnSync("npm", ["run", "--silent", "build"], { cwd, encoding: "utf8" });
  provide("buildFaults", build.status === 0 ? "" : `${build.stdout}${build.stderr}${build.error ?? ""}`);
}
