// The operator's mistakes: collected, not thrown one by one, and each with its place.

import { z } from "zod";

export interface Mistake {
  /** The file it stands in; none for a flag of the command line. */
  readonly file?: string | undefined;
  /** Counted from 1; 0 for a flag. */
  readonly line: number;
  readonly column: number;
  /** Keys from the top, joined by dots; or the flag. */
  readonly path: string;
  readonly message: string;
}

export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly mistakes: readonly Mistake[];

  constructor(mistakes: readonly Mistake[]) {
    super(mistakes.map(describe).join("\n"));
    this.mistakes = mistakes;
  }
}

/** The one mistake of a flag, named by `path`, or of a file as a whole, where there is no line to name. */
export function mistakeAt(place: { readonly file?: string; readonly path?: string }, message: string): ConfigError {
  return new ConfigError([{ line: 0, column: 0, path: "", ...place, message }]);
}

function describe({ file, line, column, path, message }: Mistake): string {
  const place = file === undefined ? [] : line === 0 ? [file] : [`${file}:${line}:${column}`];
  return [...place, ...(path === "" ? [] : [path]), message].join(": ");
}

export type Path = readonly PropertyKey[];
export type Place = Omit<Mistake, "message">;
/** Finds where a value stands, or the key that names it. */
export type Locate = (path: Path, part: "key" | "value") => Place;

/** Everything that `schema` has against `value`, in the order of the places. */
export function mistakesIn(schema: z.ZodType, value: unknown, locate: Locate): Mistake[] {
  const issues = schema.safeParse(value).error?.issues ?? [];
  return issues
    .flatMap((issue): Mistake[] => {
      if (issue.code === "unrecognized_keys") {
        const known = keysAt(schema, issue.path);
        return issue.keys.map((key) => ({
          ...locate([...issue.path, key], "key"),
          message: `unknown key${suggestion(key, known)}`,
        }));
      }
      if (issue.code === "invalid_key") {
        return issue.issues.map(({ message }) => ({ ...locate(issue.path, "key"), message }));
      }
      return [{ ...locate(issue.path, "value"), message: inOurWords(issue.message) }];
    })
    .sort((a, b) => a.line - b.line || a.column - b.column);
}

function inOurWords(message: string): string {
  return message
    .replace(/^Invalid (input|option): /, "")
    .replace(/^expected .*, received undefined$/, "is missing")
    .replace(/^expected array\b/, "expected a list")
    .replace(/^expected (object|record)\b/, "expected a map of keys");
}

interface KeyTree {
  readonly properties?: Readonly<Record<string, KeyTree>>;
}

/** The keys that may stand under `path`. */
export function keysAt(schema: z.ZodType, path: Path): string[] {
  let tree: KeyTree | undefined = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) as KeyTree;
  for (const key of path) tree = tree?.properties?.[String(key)];
  return Object.keys(tree?.properties ?? {});
}

function suggestion(key: string, known: readonly string[]): string {
  const nearest = known
    .map((candidate) => ({ candidate, distance: editDistance(key, candidate) }))
    .sort((a, b) => a.distance - b.distance)[0];
  return nearest && nearest.distance <= Math.max(1, Math.floor(key.length / 3))
    ? `; did you mean ${nearest.candidate}?`
    : "";
}

/** Levenshtein's. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (const [index, letter] of [...from].entries()) {
    const above = row;
    row = [index + 1];
    for (const [column, other] of [...to].entries()) {
      const replaced = (above[column] ?? 0) + (letter === other ? 0 : 1);
      row.push(Math.min(replaced, (above[column + 1] ?? 0) + 1, (row[column] ?? 0) + 1));
    }
  }
  return row[to.length] ?? 0;
}
