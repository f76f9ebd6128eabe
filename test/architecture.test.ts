// Keeps the two rules of the house: imports point left, and pure rooms are told the time and given their randomness.

import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const src = fileURLToPath(new URL("../src/", import.meta.url));

/** Left to right. A room may import from its own floor's left, and from itself. */
const floors: readonly (readonly string[])[] = [
  ["contract"],
  ["calendar", "budget", "counts", "thrown"],
  ["stun", "xmpp", "socks5"],
  ["turn", "jingle", "ice"],
  ["http-listener"],
  ["dataplane", "component", "admin", "discover", "accounts"],
  ["config"],
  ["cli"],
  ["relay"],
  ["main"],
];
const pureFloors = 4;
const pureModules = new Set(["node:crypto", "node:assert", "@xmpp/xml"]);

const impurities: readonly (readonly [pattern: RegExp, instead: string])[] = [
  [/\bDate\.now\b|\bnew Date\(\)|\bperformance\b/, "take `now` as an argument"],
  [/\bMath\.random\b|\brandom(Bytes|Int|UUID|Fill|FillSync)\b/, "take randomness as an argument"],
  [/\bset(Timeout|Interval|Immediate)\b/, "file a date in a Calendar and act when `ticked` arrives"],
  [/\bprocess\./, "take it as an option"],
  [/\bconsole\./, "report a fact"],
];

interface Source {
  readonly path: string;
  readonly room: string;
  readonly text: string;
  readonly imports: readonly string[];
}

function read(path: string): Source {
  const text = readFileSync(join(src, path), "utf8");
  const specifiers = text.matchAll(
    /^(?:import|export)\b[^;]*?\bfrom\s+"([^"]+)"|^import\s+"([^"]+)"|\bimport\("([^"]+)"\)/gm,
  );
  return {
    path,
    room: roomOf(path),
    text: text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, ""),
    imports: [...specifiers].map((match) => match[1] ?? match[2] ?? match[3] ?? ""),
  };
}

function roomOf(path: string): string {
  return (path.split(sep)[0] ?? "").replace(/\.ts$/, "");
}

function floorOf(room: string): number {
  return floors.findIndex((rooms) => rooms.includes(room));
}

const sources = readdirSync(src, { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".ts"))
  .map(read);

describe("architecture", () => {
  test("every room stands on a floor", () => {
    const homeless = sources.filter((source) => floorOf(source.room) < 0).map((source) => source.path);
    expect(homeless, "give the room a floor in test/architecture.test.ts and in ARCHITECTURE.md").toEqual([]);
  });

  test("imports point left", () => {
    const wrong = sources.flatMap((source) =>
      source.imports
        .filter((specifier) => specifier.startsWith("."))
        .map((specifier) => roomOf(relative(src, join(src, dirname(source.path), specifier))))
        .filter((room) => room !== source.room && floorOf(room) >= floorOf(source.room))
        .map((room) => `${source.path} imports ${room}: pass what it needs in as a function, from relay.ts`),
    );
    expect(wrong).toEqual([]);
  });

  test("pure rooms import nothing that acts", () => {
    const wrong = sources
      .filter((source) => floorOf(source.room) < pureFloors)
      .flatMap((source) =>
        source.imports
          .filter((specifier) => !specifier.startsWith(".") && !pureModules.has(specifier))
          .map((specifier) => `${source.path} imports ${specifier}: return an action instead`),
      );
    expect(wrong).toEqual([]);
  });

  test("pure rooms read no clock, take no randomness and wait for nothing", () => {
    const wrong = sources
      .filter((source) => floorOf(source.room) < pureFloors)
      .flatMap((source) =>
        impurities
          .filter(([pattern]) => pattern.test(source.text))
          .map(([pattern, instead]) => `${source.path} matches ${pattern}: ${instead}`),
      );
    expect(wrong).toEqual([]);
  });
});
