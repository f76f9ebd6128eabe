// Findings as lines for a terminal, and as a page that sets servers side by side.

import type { Result } from "./requirement.ts";
import type { Finding } from "./run.ts";

const results: readonly Result[] = ["pass", "fail", "not supported", "not tried"];

/** Where the requirement stands: "RFC 8489 §9.2.4", or the name of a known hole. */
function place({ document, section }: Finding): string {
  return document.startsWith("RFC") ? `${document} §${section}` : section;
}

export function line(finding: Finding): string {
  const { level, says, result, why } = finding;
  return `${place(finding).padEnd(17)} ${level.padEnd(11)} ${result.padEnd(13)} ${says}: ${why}`;
}

function count(findings: readonly Finding[], result: Result): number {
  return findings.filter((finding) => finding.result === result).length;
}

/** "238 requirements: 190 pass, 5 fail, …" */
export function summary(findings: readonly Finding[]): string {
  return `${findings.length} requirements: ${results.map((result) => `${count(findings, result)} ${result}`).join(", ")}`;
}

export interface Column {
  readonly server: string;
  readonly findings: readonly Finding[];
}

/** Markdown: one row a requirement, one column a server, all put to the same requirements. */
export function page(command: string, columns: readonly Column[]): string {
  const [first] = columns;
  const documents = [...new Set(first?.findings.map(({ document }) => document))];
  const heads = columns.map(({ server }) => server);
  return [
    "# Conformance, seen from outside",
    `Made by \`${command}\`; do not edit. Each requirement is put to each server over real sockets on loopback, by the
programs in \`test/conformance/\`. MUST also stands where an RFC says what a server does without using the word. "not
supported" is a refusal, or a silence, that the RFCs allow a server that lacks the feature.`,
    table(
      ["", ...results],
      columns.map(({ server, findings }) => [server, ...results.map((result) => `${count(findings, result)}`)]),
    ),
    ...documents.flatMap((document) => [
      `## ${document}`,
      table(["Where", "Level", "Requirement", ...heads], rowsOf(document, columns)),
    ]),
    "",
  ].join("\n\n");
}

function rowsOf(document: string, columns: readonly Column[]): string[][] {
  const rows = columns[0]?.findings.map((finding, i) => ({
    finding,
    all: columns.map((column) => column.findings[i]),
  }));
  return (rows ?? [])
    .filter(({ finding }) => finding.document === document)
    .map(({ finding, all }) => [
      document.startsWith("RFC") ? `§${finding.section}` : finding.section,
      finding.level,
      finding.says,
      ...all.map((each) => (each ? verdict(each) : "")),
    ]);
}

function verdict({ result, why }: Finding): string {
  if (result === "pass") return "pass";
  return `${result === "fail" ? "**fail**" : result}: ${why}`;
}

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = (row: readonly string[]) => `| ${row.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [cells(heads), cells(heads.map(() => "---")), ...rows.map(cells)].join("\n");
}
