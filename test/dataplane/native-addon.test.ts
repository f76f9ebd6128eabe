import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Unavailable } from "../../src/contract.ts";
import { isOfThisVersion, loadAddon } from "../../src/dataplane/native-addon.ts";
import { obstacleToNative } from "./native-obstacle.ts";

const built = fileURLToPath(new URL("../../build/Release/sluice.node", import.meta.url));

describe.runIf(process.platform === "linux")("the native plane is looked for in the package", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "sluice-package-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const prebuilt = () => {
    const prebuilds = join(folder, "prebuilds", `linux-${process.arch}`);
    mkdirSync(prebuilds, { recursive: true });
    return join(prebuilds, "sluice.glibc.node");
  };

  test.runIf(!obstacleToNative())("and found prebuilt where none was built", () => {
    copyFileSync(built, prebuilt());
    expect(loadAddon(folder).Engine).toBeTypeOf("function");
  });

  test.runIf(!obstacleToNative())("and not taken if it lacks a method, as one of older sources does", () => {
    const { Engine, ...rest } = loadAddon();
    expect(isOfThisVersion({ Engine, ...rest })).toBe(true);
    const { adopt, ...others } = Object.getOwnPropertyDescriptors(Engine.prototype);
    class Older extends Engine {}
    Object.setPrototypeOf(Older.prototype, Object.create(null, others));
    expect(adopt).toBeDefined();
    expect(isOfThisVersion({ Engine: Older, ...rest })).toBe(false);
  });

  test("and is not there: the message says how to build it", () => {
    expect(() => loadAddon(folder)).toThrow(new Unavailable("the native plane is not built: npm run build:native"));
  });

  test("and does not load", () => {
    writeFileSync(prebuilt(), "not a library");
    expect(() => loadAddon(folder)).toThrow(new Unavailable("the native plane does not load"));
  });
});
