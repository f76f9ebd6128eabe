import { describe, expect, test } from "vitest";
import type { TrafficLimit } from "../../src/contract.ts";
import { TrafficLimits } from "../../src/dataplane/traffic-limits.ts";

const now = 1_800_000_000_000;

/** How many packets of so many bytes pass at once. */
function passing(limits: TrafficLimits, of: readonly TrafficLimit[], at: number, bytes = 100): number {
  return Array.from({ length: 100 }, () => limits.admits(of, "to-peer", bytes, at)).filter(Boolean).length;
}

describe("a limit on traffic", () => {
  const packets = { bucket: "one", packetsPerSecond: 10 };

  test("lets a second's worth pass at once, and then as much as time goes by", () => {
    const limits = new TrafficLimits();
    expect(passing(limits, [packets], now)).toBe(10);
    expect(passing(limits, [packets], now + 500)).toBe(5);
    expect(passing(limits, [packets], now + 60_000)).toBe(10);
  });

  test("lets a packet pass that is larger than a second's worth, if nothing has for long enough", () => {
    const limits = new TrafficLimits();
    const bytes = [{ bucket: "one", bytesPerSecond: 1000 }];
    expect(passing(limits, bytes, now, 3000)).toBe(1);
    expect(passing(limits, bytes, now + 2000, 1)).toBe(0);
    expect(passing(limits, bytes, now + 2001, 1)).toBe(1);
  });

  test("of bytes and one of packets hold both", () => {
    const both = { bucket: "one", packetsPerSecond: 10, bytesPerSecond: 500 };
    expect(passing(new TrafficLimits(), [both], now, 100)).toBe(5);
    expect(passing(new TrafficLimits(), [both], now, 1)).toBe(10);
  });

  test("takes nothing for a packet that another limit holds back", () => {
    const limits = new TrafficLimits();
    const few = { bucket: "few", packetsPerSecond: 3 };
    expect(passing(limits, [packets, few], now)).toBe(3);
    expect(passing(limits, [packets], now)).toBe(7);
  });

  test("is exact also where a packet takes less time than a clock can tell", () => {
    const limits = new TrafficLimits();
    const fast = [{ bucket: "one", bytesPerSecond: 1_000_000_000 }];
    expect(limits.admits(fast, "to-peer", 1_000_000_000, now)).toBe(true);
    let passed = 0;
    for (let at = now; at < now + 100; at += 0.25) {
      for (let packet = 0; packet < 500; packet += 1) passed += limits.admits(fast, "to-peer", 1000, at) ? 1 : 0;
    }
    expect(Math.abs(passed - 100_000)).toBeLessThan(1000);
  });

  test("is forgotten when it is full again, and not before", () => {
    const limits = new TrafficLimits();
    passing(limits, [packets], now);
    limits.sweep(now + 500);
    expect(limits.size).toBe(1);
    expect(passing(limits, [packets], now + 500)).toBe(5);
    limits.sweep(now + 3000);
    expect(limits.size).toBe(0);
  });
});
