// Before any test: installs the programs of others that the tests run against, where it may, and builds the program, for
// the tests of the command line run what `npm start` runs.

import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { TestProject } from "vitest/node";
import { installMissingPackages } from "./debian-packages.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** What the compiler said; empty if all is well. */
    buildFaults: string;
  }
}

export function setup({ provide }: TestProject): void {
  installMissingPackages();
  const cwd = fileURLToPath(new URL("..", import.meta.url));
  const build = spawnSync("npm", ["run", "--silent", "build"], { cwd, encoding: "utf8" });
  provide("buildFaults", build.status === 0 ? "" : `${build.stdout}${build.stderr}${build.error ?? ""}`);
}
