import { describe, expect, test } from "vitest";
import type { Config } from "../../src/config/config.ts";
import { openFilesAtMost, reportCapacity } from "../../src/relay/capacity.ts";
import { defaultLimits } from "../../src/turn/limits.ts";

function said(config: { allocations?: number; ports?: Config["relayPorts"] }, files: number | undefined): string[] {
  const { allocations = 100, ports = [50_000, 59_999] } = config;
  const lines: string[] = [];
  reportCapacity({ quota: { ...defaultLimits, allocations }, relayPorts: ports }, files, {
    info: (text, facts) => lines.push(`${text} ${JSON.stringify(facts)}`),
    warn: (text) => lines.push(text),
  });
  return lines;
}

describe("the room for allocations", () => {
  test("is the quota where nothing else ends before", () => {
    expect(said({}, 1024)).toEqual(['room for {"allocations":100,"files":1024}']);
    expect(said({}, undefined)).toEqual(['room for {"allocations":100}']);
  });

  test("is less where the process may not open as many files", () => {
    expect(said({ allocations: 10_000 }, 1024)).toEqual([
      'room for {"allocations":824,"files":1024}',
      "the quota has 10000 allocations, but this process may open only 1024 files: raise its limit (LimitNOFILE)",
    ]);
  });

  test("is less where the range of ports is small", () => {
    expect(said({ ports: [50_000, 50_009] }, 1024)).toEqual([
      'room for {"allocations":10,"files":1024}',
      "the quota has 100 allocations, but relay-ports only 10 ports",
    ]);
  });

  test.runIf(process.platform === "linux")("counts the open files that the system allows", () => {
    expect(openFilesAtMost()).toBeGreaterThan(100);
  });
});
