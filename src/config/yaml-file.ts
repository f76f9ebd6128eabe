// A YAML file as plain values that remember their line and column.

import { readFileSync } from "node:fs";
import { type Document, isMap, isNode, isScalar, isSeq, LineCounter, parseDocument } from "yaml";
import { reasonOf } from "../thrown.ts";
import { ConfigError, type Locate, type Mistake, mistakeAt, type Path } from "./mistakes.ts";

export interface YamlFile {
  readonly value: Readonly<Record<string, unknown>>;
  readonly mistakes: readonly Mistake[];
  readonly locate: Locate;
}

/** Throws `ConfigError` when the file cannot be read or is not a YAML map. Keys without a value count as left out. */
export function readYamlFile(file: string): YamlFile {
  const lines = new LineCounter();
  const document = parseDocument(textOf(file), { lineCounter: lines, prettyErrors: false });
  const place = (offset: number, path: Path) => {
    const { line, col } = lines.linePos(offset);
    return { file, line, column: col, path: path.map(String).join(".") };
  };
  const mistakes = document.errors.map(({ pos, message }) => ({ ...place(pos[0], []), message }));
  const unreadable = document.errors.some(({ code }) => code !== "DUPLICATE_KEY");
  if (unreadable) throw new ConfigError(mistakes);
  const value = withoutEmpty(plain(document, file)) ?? {};
  if (!isRecord(value)) throw new ConfigError([...mistakes, { ...place(0, []), message: "expected a map of keys" }]);
  return { value, mistakes, locate: (path, part) => place(offsetOf(document, path, part), path) };
}

function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw mistakeAt({ file }, reasonOf(error));
  }
}

/** An alias without its anchor, or one that unfolds without end, shows only here. */
function plain(document: Document.Parsed, file: string): unknown {
  try {
    return document.toJS();
  } catch (error) {
    throw mistakeAt({ file }, reasonOf(error));
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function withoutEmpty(value: unknown): unknown {
  if (value === null) return undefined;
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .map(([key, inner]) => [key, withoutEmpty(inner)] as const)
      .filter(([, inner]) => inner !== undefined),
  );
}

/** Of the value at `path`, or of its key; of the nearest one around it when it is not there. */
function offsetOf(document: Document.Parsed, path: Path, part: "key" | "value"): number {
  let node: unknown = document.contents;
  let offset = startOf(node) ?? 0;
  for (const [depth, step] of path.entries()) {
    const pair = isMap(node) ? node.items.find(({ key }) => isScalar(key) && String(key.value) === step) : undefined;
    node = isSeq(node) && typeof step === "number" ? node.items[step] : pair?.value;
    const wanted = pair !== undefined && part === "key" && depth === path.length - 1 ? pair.key : node;
    offset = startOf(wanted) ?? startOf(pair?.key) ?? offset;
  }
  return offset;
}

function startOf(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined;
}
