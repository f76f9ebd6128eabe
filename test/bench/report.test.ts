// How the benchmark suite draws figures together and shows them.

import { describe, expect, test } from "vitest";
import { chartOf } from "../../bench/chart.ts";
import { figure, type Report, spreadOf, tableOf } from "../../bench/report.ts";

const report: Report = {
  benchmark: "relay",
  unit: "CPU µs per packet",
  conditions: "2 runs",
  baseline: "coturn",
  rows: [
    {
      name: "172 B & <1 client>",
      cells: [
        { subject: "coturn", value: spreadOf([4, 2, 3]) },
        { subject: "native", value: spreadOf([1.5]), flaw: "1 of 9 lost" },
      ],
    },
    { name: "1,200 B", cells: [{ subject: "coturn", value: spreadOf([8, 9]) }] },
  ],
};

describe("a spread", () => {
  test("has the middle value, or the mean of the two in the middle", () => {
    expect(spreadOf([30, 1, 2])).toEqual({ median: 2, low: 1, high: 30 });
    expect(spreadOf([4, 1, 2, 40])).toEqual({ median: 3, low: 1, high: 40 });
  });
});

describe("a figure", () => {
  test.each([
    [1234567, "1 234 567"],
    [999, "999"],
    [12.34, "12.3"],
    [0.456, "0.46"],
    [Number.NaN, "–"],
  ])("of %d is written %s", (value, written) => {
    expect(figure(value)).toBe(written);
  });
});

describe("a table", () => {
  const lines = tableOf(report).split("\n");

  test("shows medians, extremes, the ratio to the baseline, and what spoils a figure", () => {
    expect(lines[4]).toMatch(/\| 3\.00 \(2\.00–4\.00\) +\| 1\.50 \*\*×0\.50\*\* 1 of 9 lost +\|$/);
  });

  test("leaves open what a subject could not do", () => {
    expect(lines[5]).toMatch(/\| – +\|$/);
  });

  test("has lines of one length", () => {
    expect(new Set(lines.slice(2, -1).map((line) => line.length)).size).toBe(1);
  });
});

describe("the chart", () => {
  const chart = chartOf([report]);

  test("draws a bar for each ratio, and none for the baseline itself", () => {
    expect(chart.match(/<rect x=/g)).toHaveLength(1);
    expect(chart).toContain(">0.50</text>");
  });

  test("escapes names", () => {
    expect(chart).toContain("172 B &amp; &lt;1 client>");
  });
});
