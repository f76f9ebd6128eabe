// Lines to a reader that keeps up, is slow, or is gone.

import { spawnSync } from "node:child_process";
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { LineWriter } from "../../src/admin/line-writer.ts";

const { O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;

let folder: string;
let reader: number;
let fd: number;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sluice-lines-"));
  const fifo = join(folder, "fifo");
  spawnSync("mkfifo", [fifo]);
  reader = openSync(fifo, O_RDONLY | O_NONBLOCK);
  fd = openSync(fifo, O_WRONLY | O_NONBLOCK);
});

afterEach(() => {
  closeSync(fd);
  rmSync(folder, { recursive: true });
});

/** What can be read just now. */
function read(): string {
  const buffer = Buffer.alloc(1024 * 1024);
  try {
    return buffer.toString("latin1", 0, readSync(reader, buffer));
  } catch {
    return "";
  }
}

describe("a line writer", () => {
  test("writes lines whole and in order", async () => {
    const writer = new LineWriter(fd);
    for (let line = 0; line < 100; line += 1) writer.write(`${line}\n`);
    let text = "";
    await vi.waitFor(() => {
      text += read();
      expect(text).toBe(Array.from({ length: 100 }, (_, line) => `${line}\n`).join(""));
    });
    closeSync(reader);
  });

  test("keeps what a slow reader has not taken, within its bound, and loses whole lines beyond", async () => {
    const line = `${"x".repeat(999)}\n`;
    const writer = new LineWriter(fd, 200_000);
    for (let count = 0; count < 1000; count += 1) writer.write(line);
    let text = "";
    await vi.waitFor(() => {
      text += read();
      expect(text.length).toBe(200_000);
    });
    expect(text).toBe(line.repeat(200));
    writer.write("after\n");
    await vi.waitFor(() => expect(read()).toBe("after\n"));
    closeSync(reader);
  });

  test("outlives its reader", async () => {
    const writer = new LineWriter(fd, 10);
    closeSync(reader);
    writer.write("one\n");
    await vi.waitFor(() => expect(() => writer.write("two\n")).not.toThrow());
  });
});
