// A folder of a test's own.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

/** Gone when the test is over. */
export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "sluice-accounts-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
