// Every requirement of the RFCs that can be seen from outside, put to Sluice over real sockets.

import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { obstacleToNative } from "../dataplane/native-obstacle.ts";
import { Bench } from "./bench.ts";
import { notYet } from "./not-yet.ts";
import { requirementGroups } from "./requirements.ts";
import { findingOf } from "./run.ts";
import { type RunningServer, startSluice } from "./servers.ts";

/** auto is the native plane where it is built, and else the portable one once more. */
const planes = ["portable", "auto"];

function reasonFor(dataplane: string, document: string, says: string): string | undefined {
  const isNative = dataplane === "auto" && obstacleToNative() === undefined;
  const entries = notYet.filter((entry) => !(isNative && entry.isOfPortable));
  return entries.find((entry) => entry.document === document && entry.says.includes(says))?.why;
}

describe.each(planes)("on the plane %s", (dataplane) => {
  const usedPorts = new Set<number>();
  let plain: RunningServer;
  let discovering: RunningServer;

  beforeAll(async () => {
    expect(inject("buildFaults")).toBe("");
    [plain, discovering] = await Promise.all([
      startSluice({ dataplane }),
      startSluice({ dataplane, natDiscovery: true }),
    ]);
  });

  afterAll(() => Promise.all([plain?.stop(), discovering?.stop()]));

  for (const { document, requirements, needsNatDiscovery } of requirementGroups) {
    describe(document, () => {
      for (const requirement of requirements) {
        const { section, says } = requirement;
        const why = reasonFor(dataplane, document, says);
        test(`${section}: ${says}${why === undefined ? "" : ` (not yet: ${why})`}`, async () => {
          const { subject } = needsNatDiscovery ? discovering : plain;
          const finding = await findingOf(document, requirement, new Bench(subject, usedPorts));
          if (why === undefined) expect(finding.result, finding.why).toBe("pass");
          else expect(finding.result, "it is met: take it out of not-yet.ts").not.toBe("pass");
        });
      }
    });
  }
});

describe("the lists", () => {
  test("no document says the same thing twice", () => {
    for (const { requirements } of requirementGroups) {
      const all = requirements.map(({ says }) => says);
      expect(all).toEqual([...new Set(all)]);
    }
  });

  test("what is not yet met is a requirement", () => {
    const all = requirementGroups.flatMap(({ document, requirements }) =>
      requirements.map(({ says }) => `${document}: ${says}`),
    );
    const listed = notYet.flatMap(({ document, says }) => says.map((each) => `${document}: ${each}`));
    expect(listed.filter((each) => !all.includes(each))).toEqual([]);
  });
});
