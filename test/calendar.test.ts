import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Calendar } from "../src/calendar.ts";

describe("the calendar", () => {
  test("gives a key once its date has passed, and only once", () => {
    const calendar = new Calendar<string>();
    calendar.file("a", 1500);
    expect(calendar.due(1999)).toEqual([]);
    expect(calendar.due(2000)).toEqual(["a"]);
    expect(calendar.due(9000)).toEqual([]);
  });

  test("keeps the last date of a key that is filed again, earlier or later", () => {
    const calendar = new Calendar<string>();
    calendar.file("later", 1000);
    calendar.file("later", 5000);
    calendar.file("earlier", 5000);
    calendar.file("earlier", 1000);
    expect(calendar.due(1000)).toEqual(["earlier"]);
    expect(calendar.due(5000)).toEqual(["later"]);
  });

  test("gives what is due after any leap of the clock, oldest first", () => {
    const calendar = new Calendar<number>();
    for (const second of [30, 10, 20]) calendar.file(second, second * 1000);
    expect(calendar.due(1e15)).toEqual([10, 20, 30]);
  });

  test("agrees with a plain map of dates, and never gives a key early or more than a second late", () => {
    const step = fc.record({ key: fc.nat(9), ahead: fc.option(fc.nat(20_000)), advance: fc.nat(5000) });
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const calendar = new Calendar<number>();
        const dates = new Map<number, number>();
        let now = 0;
        for (const { key, ahead, advance } of steps) {
          if (ahead === null) calendar.strike(key);
          else calendar.file(key, now + ahead);
          if (ahead === null) dates.delete(key);
          else dates.set(key, now + ahead);

          now += advance;
          for (const due of calendar.due(now)) {
            expect(dates.get(due)).toBeLessThanOrEqual(now);
            dates.delete(due);
          }
          expect([...dates.values()].filter((at) => at + 1000 <= now)).toEqual([]);
          expect(calendar.size).toBe(dates.size);
        }
      }),
    );
  });
});
