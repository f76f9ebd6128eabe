// Findings as lines for a terminal.

import type { Result } from "./requirement.ts";
import type { Finding } from "./run.ts";

export const results: readonly Result[] = ["pass", "fail", "not supported", "not tried"];

/** "RFC 8489 §9.2.4  MUST      pass           A request without … : 401 Unauthorized" */
export function line({ document, section, level, says, result, why }: Finding): string {
  const place = `${document} §${section}`.padEnd(17);
  return `${place} ${level.padEnd(11)} ${result.padEnd(13)} ${says}: ${why}`;
}

/** "138 requirements: 120 pass, 3 fail, …" */
export function summary(findings: readonly Finding[]): string {
  const count = (result: Result) => findings.filter((finding) => finding.result === result).length;
  return `${findings.length} requirements: ${results.map((result) => `${count(result)} ${result}`).join(", ")}`;
}
