// Every requirement of the RFCs that can be seen from outside, put to Sluice over real sockets.

import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { Bench } from "./bench.ts";
import { notYet } from "./not-yet.ts";
import { requirementGroups } from "./requirements.ts";
import { findingOf } from "./run.ts";
import { type RunningServer, startSluice } from "./servers.ts";

const usedPorts = new Set<number>();
let sluice: RunningServer;

beforeAll(async () => {
  expect(inject("buildFaults")).toBe("");
  sluice = await startSluice();
});

afterAll(() => sluice?.stop());

function reasonFor(document: string, says: string): string | undefined {
  return notYet.find((entry) => entry.document === document && entry.says.includes(says))?.why;
}

for (const { document, requirements } of requirementGroups) {
  describe(document, () => {
    for (const requirement of requirements) {
      const { section, says } = requirement;
      const why = reasonFor(document, says);
      test(`${section}: ${says}${why === undefined ? "" : ` (not yet: ${why})`}`, async () => {
        const finding = await findingOf(document, requirement, new Bench(sluice.subject, usedPorts));
        if (why === undefined) expect(finding).toMatchObject({ result: "pass" });
        else expect(finding, "it is met: take it out of not-yet.ts").not.toMatchObject({ result: "pass" });
      });
    }
  });
}

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
