// What a test needs of Debian. Without it the test is left out, saying why; with CI set it fails instead.

import { type DebianPackage, missingPackages } from "../debian-packages.ts";

/** For `describe.runIf`: whether the programs are there. */
export function needs(...packages: DebianPackage[]): boolean {
  const missing = missingPackages(packages);
  if (missing.length === 0) return true;
  const advice = `${missing.join(", ")} not found: apt-get install ${missing.join(" ")}`;
  if (process.env.CI) throw new Error(advice);
  console.warn(`left out, ${advice}`);
  return false;
}
