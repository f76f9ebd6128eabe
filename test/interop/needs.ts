// What a test needs of Debian and of the machine. Without it the test is left out, saying why; with CI set it fails.

import { spawnSync } from "node:child_process";
import { type DebianPackage, missingPackages } from "../debian-packages.ts";

/** For `describe.runIf`: whether the programs are there. */
export function needs(...packages: DebianPackage[]): boolean {
  const missing = missingPackages(packages);
  return missing.length === 0 || leftOut(`${missing.join(", ")} not found: apt-get install ${missing.join(" ")}`);
}

/** For `describe.runIf`: whether this process may make networks of its own. */
export function needsNetworkNamespaces(): boolean {
  const mayUnshare = spawnSync("unshare", ["--net", "true"]).status === 0;
  return mayUnshare || leftOut("no right to make network namespaces: run as root");
}

function leftOut(why: string): false {
  if (process.env.CI) throw new Error(why);
  console.warn(`left out, ${why}`);
  return false;
}
