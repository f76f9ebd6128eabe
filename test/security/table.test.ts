// docs/security.md says which test shows what. Here it is held to it.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));
const table = readFileSync(join(root, "docs/security.md"), "utf8");

interface Cited {
  readonly file: string;
  readonly titles: readonly string[];
}

/** `file`: "title", "title"; `file` */
const cited: readonly Cited[] = table
  .split("\n")
  .filter((line) => /^\| [A-E]\d/.test(line))
  .flatMap((line) => [...line.matchAll(/`([\w/.-]+\.ts)`(?:: ((?:"[^"]+"(?:, )?)+))?/g)])
  .map(([, file = "", titles = ""]) => ({
    file,
    titles: [...titles.matchAll(/"([^"]+)"/g)].map(([, title = ""]) => title),
  }));

test("every row of the table is there, and has a test or says why not", () => {
  const rows = [...table.matchAll(/^\| ([A-E]\d+)/gm)].map(([, row]) => row);
  const wanted = [
    ...Array.from({ length: 10 }, (_, i) => `A${i + 1}`),
    ...Array.from({ length: 13 }, (_, i) => `B${i + 1}`),
    ...Array.from({ length: 10 }, (_, i) => `D${i + 1}`),
    ...Array.from({ length: 11 }, (_, i) => `E${i + 1}`),
  ];
  expect(rows).toEqual(expect.arrayContaining(wanted));
  expect(cited.length).toBeGreaterThan(40);
});

test.each(cited)("$file has the tests that the table names", ({ file, titles }) => {
  const path = join(root, "test", file);
  expect(existsSync(path), path).toBe(true);
  const text = readFileSync(path, "utf8");
  for (const title of titles) expect(text).toContain(title);
});
