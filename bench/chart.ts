// One chart of all that has a baseline: a bar for each subject in each case, as long as its ratio to the baseline.

import { type Cell, type Report, type Row, ratioOf } from "./report.ts";

const rowHeight = 16;
const groupGap = 8;
const labelWidth = 330;
const plotWidth = 460;
const margin = 24;
const colours = ["#2a6fb0", "#d9822b", "#3d9970", "#8e5ea2"];

interface Bar {
  readonly label: string;
  readonly subject: string;
  readonly ratio: number;
  readonly isFirstOfGroup: boolean;
}

export function chartOf(reports: readonly Report[]): string {
  const bars = reports.flatMap((report) => report.rows.flatMap((row) => barsOf(row, report)));
  const subjects = [...new Set(bars.map(({ subject }) => subject))];
  const longest = Math.max(1.25, ...bars.map(({ ratio }) => ratio));
  const x = (ratio: number) => labelWidth + (ratio / longest) * plotWidth;
  const baselines = [...new Set(reports.flatMap(({ baseline }) => baseline ?? []))].join(", ");
  let y = 3 * margin;
  const drawn = bars.map((bar) => {
    if (bar.isFirstOfGroup) y += groupGap;
    const line = drawBar(bar, y, x, colours[subjects.indexOf(bar.subject) % colours.length] ?? "#000");
    y += rowHeight;
    return line;
  });
  const width = labelWidth + plotWidth + 3 * margin;
  const legend = subjects.map((subject, index) =>
    text(labelWidth + index * 110, 2.2 * margin, `■ ${subject}`, colours[index % colours.length]),
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${y + margin}" font-family="sans-serif" font-size="11">`,
    '<rect width="100%" height="100%" fill="#fff"/>',
    `<text x="${labelWidth}" y="${1.2 * margin}" font-size="14">Cost as a multiple of ${escaped(baselines)}, same run (less is better)</text>`,
    ...legend,
    ...drawn,
    `<line x1="${x(1)}" x2="${x(1)}" y1="${3 * margin}" y2="${y}" stroke="#555" stroke-dasharray="3 3"/>`,
    text(x(1) - 3, y + 14, "1"),
    "</svg>",
    "",
  ].join("\n");
}

function barsOf(row: Row, report: Report): Bar[] {
  const compared = row.cells.flatMap((cell: Cell) => {
    const ratio = ratioOf(cell, row, report);
    return ratio === undefined || !Number.isFinite(ratio) ? [] : [{ subject: cell.subject, ratio }];
  });
  return compared.map((bar, index) => ({ ...bar, label: index === 0 ? row.name : "", isFirstOfGroup: index === 0 }));
}

function drawBar(bar: Bar, y: number, x: (ratio: number) => number, colour: string): string {
  const width = x(bar.ratio) - x(0);
  return [
    `<text x="${labelWidth - 8}" y="${y + 11}" text-anchor="end">${escaped(bar.label)}</text>`,
    `<rect x="${x(0)}" y="${y + 2}" width="${width.toFixed(1)}" height="${rowHeight - 4}" fill="${colour}"/>`,
    text(x(bar.ratio) + 4, y + 11, bar.ratio.toFixed(2)),
  ].join("");
}

function text(x: number, y: number, words: string, fill = "#000"): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" fill="${fill}">${escaped(words)}</text>`;
}

function escaped(words: string): string {
  return words.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
