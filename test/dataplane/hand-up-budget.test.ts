import { describe, expect, test } from "vitest";
import { HandUpBudget } from "../../src/dataplane/hand-up-budget.ts";

/** How many of so many packets, all in one moment, go up. */
function admitted(budget: HandUpBudget, address: (packet: number) => string, now: number, packets = 1000): number {
  let count = 0;
  for (let packet = 0; packet < packets; packet += 1) count += budget.admits(address(packet), now) ? 1 : 0;
  return count;
}

describe("the hand-up budget", () => {
  test("bounds one address and leaves room for others", () => {
    const budget = new HandUpBudget({ perAddress: 100, inTotal: 300 });
    expect(admitted(budget, () => "192.0.2.1", 0)).toBe(10);
    expect(admitted(budget, () => "192.0.2.2", 0)).toBe(10);
  });

  test("bounds all addresses together, however many are forged", () => {
    const budget = new HandUpBudget({ perAddress: 100, inTotal: 300 });
    expect(admitted(budget, (packet) => `2001:db8::${packet}`, 0)).toBe(30);
  });

  test("is there again a moment later", () => {
    const budget = new HandUpBudget({ perAddress: 100, inTotal: 300 });
    expect(admitted(budget, () => "192.0.2.1", 0)).toBe(10);
    expect(admitted(budget, () => "192.0.2.1", 99)).toBe(0);
    expect(admitted(budget, () => "192.0.2.1", 100)).toBe(10);
  });

  test("is what it says over a second", () => {
    const budget = new HandUpBudget({ perAddress: 100, inTotal: 300 });
    let count = 0;
    for (let now = 5000; now < 6000; now += 1) count += admitted(budget, () => "192.0.2.1", now, 5);
    expect(count).toBe(100);
  });

  test("leaves the time that it is not for, beyond a few in any case, and pays back what took too long", () => {
    const budget = new HandUpBudget({ perAddress: 10_000, inTotal: 10_000, shareOfTime: 0.5 });
    const handedUp = (now: number, millisEach: number) => {
      let count = 0;
      for (; budget.admits("192.0.2.1", now); count += 1) budget.took(millisEach);
      return count;
    };
    expect(handedUp(0, 0.25)).toBe(200);
    expect(handedUp(99, 0.25)).toBe(0);
    expect(handedUp(100, 1.25)).toBe(100);
    expect(handedUp(200, 0.001)).toBe(100);
    expect(handedUp(300, 0.25)).toBe(100);
    expect(handedUp(400, 0.25)).toBe(200);
  });

  test("takes what comes by streams also when its time is over, for nobody asks again there", () => {
    const budget = new HandUpBudget({ perAddress: 10_000, inTotal: 10_000, shareOfTime: 0.5 });
    while (budget.admits("192.0.2.1", 0)) budget.took(1);
    expect(budget.admits("192.0.2.1", 0, false)).toBe(true);
    expect(budget.admits("192.0.2.1", 0)).toBe(false);
  });
});
