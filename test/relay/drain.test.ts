import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Drain } from "../../src/relay/drain.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function world(relayPorts: number, secondsAtMost = 3600) {
  const lines: string[] = [];
  const state = { relayPorts, transfers: 0, begun: 0, isOver: false };
  const note = (text: string, fields = {}) => void lines.push(`${text} ${JSON.stringify(fields)}`);
  const drain = new Drain({
    begin: () => {
      state.begun += 1;
    },
    left: () => ({ relayPorts: state.relayPorts, transfers: state.transfers }),
    secondsAtMost,
    now: Date.now,
    log: { info: note, warn: note },
  });
  void drain.ended.then(() => {
    state.isOver = true;
  });
  return { drain, state, lines, begin: () => drain.begin() };
}

describe("a drain", () => {
  test("begins at once, and once, and is over when the last relay port is closed", async () => {
    const { drain, state, lines, begin } = world(2);
    expect(drain.isUnderWay).toBe(false);
    begin();
    begin();
    expect(drain.isUnderWay).toBe(true);
    expect(state.begun).toBe(1);
    await vi.advanceTimersByTimeAsync(3_000_000);
    expect(state.isOver).toBe(false);
    state.relayPorts = 0;
    await vi.advanceTimersByTimeAsync(1000);
    expect(state.isOver).toBe(true);
    expect(lines).toEqual([
      'draining: no new allocations {"relayPorts":2,"transfers":0,"secondsAtMost":3600}',
      "drained {}",
    ]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("waits a moment for what is just being opened", async () => {
    const { state, begin } = world(0);
    begin();
    await vi.advanceTimersByTimeAsync(900);
    expect(state.isOver).toBe(false);
    state.relayPorts = 1;
    await vi.advanceTimersByTimeAsync(5000);
    expect(state.isOver).toBe(false);
  });

  test("waits for file transfers, too", async () => {
    const { state, begin } = world(0);
    state.transfers = 1;
    begin();
    await vi.advanceTimersByTimeAsync(5000);
    expect(state.isOver).toBe(false);
    state.transfers = 0;
    await vi.advanceTimersByTimeAsync(1000);
    expect(state.isOver).toBe(true);
  });

  test("is over when it takes too long", async () => {
    const { state, lines, begin } = world(3, 60);
    begin();
    await vi.advanceTimersByTimeAsync(59_000);
    expect(state.isOver).toBe(false);
    await vi.advanceTimersByTimeAsync(1000);
    expect(state.isOver).toBe(true);
    expect(lines[1]).toBe('not drained in time: what is left ends now {"relayPorts":3,"transfers":0}');
  });

  test("keeps nothing running when it is stopped", () => {
    const { drain, begin } = world(1);
    begin();
    drain.stop();
    expect(vi.getTimerCount()).toBe(0);
  });
});
