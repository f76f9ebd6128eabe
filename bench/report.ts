// What a benchmark found, and how it is shown: as JSON for programs, as a table for people.

import type { Plan } from "./plan.ts";

/** Several runs of one thing. */
export interface Spread {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

/** What one subject (a server, a codec) did in one case. */
export interface Cell {
  readonly subject: string;
  readonly value: Spread;
  /** What spoils the figure, such as lost packets; empty if nothing does. */
  readonly flaw?: string;
  /** Further figures of the same runs, by name. */
  readonly beside?: Readonly<Record<string, Spread>>;
}

export interface Row {
  readonly name: string;
  readonly cells: readonly Cell[];
}

export interface Report {
  readonly benchmark: string;
  /** What the values are: `"ns per call"`. Less is better. */
  readonly unit: string;
  /** What one has to know to read them. */
  readonly conditions: string;
  /** The subject that the others are compared with. */
  readonly baseline?: string;
  readonly rows: readonly Row[];
}

export function conditionsOf({ topology, repeats, seconds }: Plan): string {
  return `${topology.name}, ${repeats} alternating runs of ${seconds} s, median (lowest–highest)`;
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (index: number) => sorted[index] ?? Number.NaN;
  const half = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? at(half) : (at(half - 1) + at(half)) / 2;
  return { median, low: at(0), high: at(sorted.length - 1) };
}

/** The median as a multiple of the baseline's in the same row. */
export function ratioOf(cell: Cell, row: Row, report: Report): number | undefined {
  const baseline = row.cells.find(({ subject }) => subject === report.baseline);
  const ratio = baseline && baseline !== cell ? cell.value.median / baseline.value.median : Number.NaN;
  return Number.isFinite(ratio) ? ratio : undefined;
}

/** A Markdown table: one line a case, one column a subject, `median (low–high)` and the ratio to the baseline. */
export function tableOf(report: Report): string {
  const subjects = [...new Set(report.rows.flatMap((row) => row.cells.map(({ subject }) => subject)))];
  const lines = report.rows.map((row) => [
    row.name,
    ...subjects.map((subject) => {
      const cell = row.cells.find((candidate) => candidate.subject === subject);
      return cell ? textOf(cell, ratioOf(cell, row, report)) : "–";
    }),
  ]);
  const heads = [report.unit, ...subjects];
  const widths = heads.map((head, column) => Math.max(head.length, ...lines.map((line) => line[column]?.length ?? 0)));
  const draw = (line: readonly string[]) =>
    `| ${line.map((text, column) => text.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  const rule = `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`;
  const compared = report.baseline ? ` ×ratio to ${report.baseline}` : "";
  return [
    `**${report.benchmark}** (${report.conditions}${compared})`,
    "",
    draw(heads),
    rule,
    ...lines.map(draw),
    "",
  ].join("\n");
}

function textOf({ value, flaw }: Cell, ratio: number | undefined): string {
  const isSingle = value.low === value.high;
  const spread = isSingle ? "" : ` (${figure(value.low)}–${figure(value.high)})`;
  const compared = ratio === undefined ? "" : ` **×${ratio.toFixed(2)}**`;
  return `${figure(value.median)}${spread}${compared}${flaw ? ` ${flaw}` : ""}`;
}

/** Three digits that mean something. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return "–";
  if (value >= 1000) return Math.round(value).toLocaleString("en").replaceAll(",", " ");
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
