import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { watchOpenFiles } from "../../src/relay/open-files.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("the log says once that no more files can be opened, and once that they can again", () => {
  const lines: string[] = [];
  const note = (text: string) => void lines.push(text);
  let code: string | undefined;
  const stop = watchOpenFiles({ info: note, error: note }, () => {
    if (code !== undefined) throw Object.assign(new Error(code), { code });
  });
  for (const now of [undefined, "EACCES", "EMFILE", undefined, "ENFILE"]) {
    code = now;
    vi.advanceTimersByTime(5000);
  }
  const [gone, back] = [expect.stringMatching(/^no more files .*LimitNOFILE/), "files can be opened again"];
  expect(lines).toEqual([gone, back, gone]);
  stop();
  expect(vi.getTimerCount()).toBe(0);
});

test("files can be opened in ordinary times", () => {
  const note = vi.fn();
  const stop = watchOpenFiles({ info: note, error: note });
  vi.advanceTimersByTime(5000);
  stop();
  expect(note).not.toHaveBeenCalled();
});
