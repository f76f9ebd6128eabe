// Writes lines to a file descriptor in order. It never blocks and never fails: a reader that is slow loses lines, and
// one that is gone is not written to any more. Relaying must not depend on who reads the log.

import { write } from "node:fs";

/** How long a full pipe is left alone. */
const retryMillis = 50;

export class LineWriter {
  readonly #fd: number;
  readonly #mostWaiting: number;
  readonly #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #isWriting = false;
  #isGone = false;

  /** Of what waits to be read, `mostWaiting` bytes are kept; lines beyond are lost. */
  constructor(fd: number, mostWaiting = 4 * 1024 * 1024) {
    this.#fd = fd;
    this.#mostWaiting = mostWaiting;
  }

  write(line: string): void {
    const bytes = Buffer.from(line);
    if (this.#isGone || this.#waitingBytes + bytes.length > this.#mostWaiting) return;
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    if (!this.#isWriting) this.#next();
  }

  #next(): void {
    const bytes = Buffer.concat(this.#waiting.splice(0));
    this.#isWriting = bytes.length > 0;
    if (this.#isWriting) write(this.#fd, bytes, (error, written) => this.#wrote(bytes, error ? 0 : written, error));
  }

  #wrote(bytes: Buffer, written: number, error: NodeJS.ErrnoException | null): void {
    this.#waitingBytes -= written;
    if (written < bytes.length) this.#waiting.unshift(bytes.subarray(written));
    if (!error) this.#next();
    else if (error.code === "EAGAIN") setTimeout(() => this.#next(), retryMillis).unref();
    else {
      this.#isGone = true;
      this.#waiting.length = 0;
    }
  }
}
