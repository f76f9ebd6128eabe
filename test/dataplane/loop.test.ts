import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Action, Input, Millis } from "../../src/contract.ts";
import { Loop } from "../../src/dataplane/loop.ts";

describe("the loop", () => {
  const loops: Loop[] = [];
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    for (const loop of loops.splice(0)) loop.stop();
    vi.useRealTimers();
  });

  const hungUp = (via: number): Input => ({ is: "hung-up", via });
  const close = (relay: number): Action => ({ do: "close-relay", relay });

  /** A machine that answers with `decide`, and everything that happened, in order. */
  function loopOf(decide: (input: Input) => Action[], perform: (action: Action, loop: Loop) => void = () => {}) {
    const happened: (Input | Action)[] = [];
    const times: Millis[] = [];
    const faults: unknown[] = [];
    const loop: Loop = new Loop({
      machine: {
        handle(now, input) {
          times.push(now);
          happened.push(input);
          return decide(input);
        },
      },
      now: () => 42,
      perform: (action) => {
        happened.push(action);
        perform(action, loop);
      },
      fault: (error) => faults.push(error),
    });
    loops.push(loop);
    return { loop, happened, times, faults };
  }

  test("tells the machine the time, and has its actions performed in order", () => {
    const { loop, happened, times } = loopOf(() => [close(1), close(2)]);
    loop.hand(hungUp(9));
    expect(happened).toEqual([hungUp(9), close(1), close(2)]);
    expect(times).toEqual([42]);
  });

  test("lets what a performed action brings wait until all actions before it are performed", () => {
    const { loop, happened } = loopOf(
      (input) => (input.is === "hung-up" && input.via < 2 ? [close(input.via * 10), close(input.via * 10 + 1)] : []),
      (action, on) => {
        if (action.do === "close-relay") on.hand(hungUp(action.relay + 100));
      },
    );
    loop.hand(hungUp(1));
    expect(happened).toEqual([hungUp(1), close(10), close(11), hungUp(110), hungUp(111)]);
  });

  test("says once a second that time passed", () => {
    const { happened } = loopOf(() => []);
    vi.advanceTimersByTime(999);
    expect(happened).toEqual([]);
    vi.advanceTimersByTime(2001);
    expect(happened).toEqual([{ is: "ticked" }, { is: "ticked" }, { is: "ticked" }]);
  });

  test("does nothing more once stopped, not even the rest of what it was doing", () => {
    const { loop, happened } = loopOf(
      () => [close(1), close(2)],
      (_, on) => {
        on.hand(hungUp(8));
        on.stop();
      },
    );
    loop.hand(hungUp(7));
    loop.hand(hungUp(9));
    vi.advanceTimersByTime(5000);
    expect(happened).toEqual([hungUp(7), close(1)]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("goes on after a fault of ours", () => {
    const { loop, happened, faults } = loopOf(
      (input) => {
        if (input.is === "hung-up" && input.via === 1) throw new Error("of the machine");
        return [close(1)];
      },
      (_, on) => {
        on.hand(hungUp(1));
        throw new Error("of the plane");
      },
    );
    loop.hand(hungUp(2));
    loop.hand(hungUp(1));
    expect(happened).toEqual([hungUp(2), close(1), hungUp(1), hungUp(1)]);
    expect(faults).toEqual([new Error("of the plane"), new Error("of the machine"), new Error("of the machine")]);
  });
});
