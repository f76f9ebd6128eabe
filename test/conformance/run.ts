// Puts every requirement to one server, one after the other, and keeps what came out.

import { Bench, type Subject } from "./bench.ts";
import { type Level, type RequirementGroup, type Result, Unmet } from "./requirement.ts";
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

type Verdict = Pick<Finding, "result" | "why">;

async function verdictOf(check: (bench: Bench) => Promise<string>, subject: Subject): Promise<Verdict> {
  const bench = new Bench(subject);
  try {
    return { result: "pass", why: await check(bench) };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { result: error instanceof Unmet ? error.result : "fail", why };
  } finally {
    await bench.close();
  }
}

/** `watch` is told of each finding as it is made. */
export async function run(
  subject: Subject,
  watch: (finding: Finding) => void = () => {},
  groups: readonly RequirementGroup[] = requirementGroups,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const { document, requirements } of groups) {
    for (const { section, level, says, check } of requirements) {
      const finding = { document, section, level, says, ...(await verdictOf(check, subject)) };
      findings.push(finding);
      watch(finding);
    }
  }
  return findings;
}
