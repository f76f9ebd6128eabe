// The C++ of the native plane under sanitizers: the judge fed with anything, and the engine while everything comes and goes.

import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { obstacleToNative } from "./native-obstacle.ts";

const run = promisify(execFile);
const sources = fileURLToPath(new URL("../../src/dataplane/native/", import.meta.url));
const programs = fileURLToPath(new URL("native/", import.meta.url));
const engine = ["engine", "worker", "orders", "outbox", "judge"];
const seconds = "2";

// Who could build the plane can build these.
describe.runIf(obstacleToNative() === undefined)("under sanitizers", { timeout: 240_000 }, () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "sluice-sanitizers-"));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  /** Compiles a program with these parts of the plane, runs it, and gives what it printed. It fails if anything is found. */
  async function sanitized(name: string, sanitizer: string, parts: string[], args: string[]): Promise<string> {
    const program = join(folder, `${name}-${sanitizer}`);
    await run("g++", [
      ...["-std=c++20", "-O1", "-g", `-fsanitize=${sanitizer}`, "-fno-sanitize-recover=all", "-I", sources],
      ...[join(programs, `${name}.cpp`), ...parts.map((part) => join(sources, `${part}.cpp`)), "-o", program],
    ]);
    const { stdout } = await run(program, args, { env: { ...process.env, TSAN_OPTIONS: "halt_on_error=1" } });
    return stdout;
  }

  test("the judge, the table and the rings survive whatever they are fed", async () => {
    const seed = `${Date.now()}`;
    expect(await sanitized("fuzz", "address,undefined", ["judge"], [seed, seconds]), `seed ${seed}`).toMatch(
      /^[1-9]\d* inputs/,
    );
  });

  test.each(["thread", "address,undefined"])(
    "relay ports and routes come and go under load (%s)",
    async (sanitizer) => {
      expect(await sanitized("churn", sanitizer, engine, [seconds, "2"])).toMatch(/^[1-9]\d* relay ports opened/);
    },
  );
});
