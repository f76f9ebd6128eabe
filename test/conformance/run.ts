// Puts requirements to one server, one after the other, and keeps what came out.

import { Bench, type Subject } from "./bench.ts";
import { type Level, type Requirement, type RequirementGroup, type Result, Unmet } from "./requirement.ts";
import { requirementGroups } from "./requirements.ts";

export interface Finding {
  readonly document: string;
  readonly section: string;
  readonly level: Level;
  readonly says: string;
  readonly result: Result;
  /** What was seen, in one line. */
  readonly why: string;
}

/** Puts one requirement. Whatever its check opened is closed again. */
export async function findingOf(document: string, requirement: Requirement, bench: Bench): Promise<Finding> {
  const { section, level, says, check } = requirement;
  const known = { document, section, level, says };
  try {
    return { ...known, result: "pass", why: plain(await check(bench)) };
  } catch (error) {
    const why = plain(error instanceof Error ? error.message : String(error));
    return { ...known, result: error instanceof Unmet ? error.result : "fail", why };
  } finally {
    await bench.close();
  }
}

/** Puts them in turn. `watch` is told of each finding as it is made. */
export async function run(
  subject: Subject,
  watch: (finding: Finding) => void = () => {},
  groups: readonly RequirementGroup[] = requirementGroups,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  const usedPorts = new Set<number>();
  for (const { document, requirements } of groups) {
    for (const requirement of requirements) {
      const finding = await findingOf(document, requirement, new Bench(subject, usedPorts));
      findings.push(finding);
      watch(finding);
    }
  }
  return findings;
}

/** A server's own words may be anything: reason phrases come with NUL bytes. */
function plain(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, "").trim();
}
