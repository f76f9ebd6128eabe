import { setImmediate } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import type { Engine } from "../../src/dataplane/native-addon.ts";
import { Flushes } from "../../src/dataplane/native-flushes.ts";

let flushes: Flushes;
let flushed: string[] = [];
const engine = {
  flush(now: number, all: boolean) {
    flushed.push(`${now} ${all ? "all" : "urgent"}`);
  },
} as Partial<Engine> as Engine;
const open = () => {
  flushed = [];
  flushes = new Flushes(engine, () => 7);
  return flushes;
};

afterEach(() => flushes.stop());

test("what is sent in a turn leaves together at its end, and nothing before", async () => {
  open().turn(() => {
    for (let i = 0; i < 3; i++) flushes.soon();
    expect(flushed).toEqual([]);
  });
  expect(flushed).toEqual(["7 urgent"]);
  await setImmediate();
  expect(flushed).toEqual(["7 urgent"]);
});

test("a fault in a turn does not keep back what was sent before it, nor what is sent later", async () => {
  const fail = () => {
    throw new Error("ours");
  };
  expect(() => open().turn(fail)).toThrow("ours");
  flushes.soon();
  await setImmediate();
  expect(flushed).toEqual(["7 urgent", "7 urgent"]);
});

test("what is sent outside of turns leaves together a moment later", async () => {
  open().soon();
  flushes.soon();
  expect(flushed).toEqual([]);
  await setImmediate();
  expect(flushed).toEqual(["7 urgent"]);
});

test("once stopped, the engine is left alone", async () => {
  open().soon();
  flushes.stop();
  flushes.now(true);
  flushes.turn(() => flushes.soon());
  await setImmediate();
  expect(flushed).toEqual([]);
});
