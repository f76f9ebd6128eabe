// What ends when, filed by the second: one calendar instead of a timer for each of thousands of deadlines.

import type { Millis } from "./contract.ts";

/** Each key has at most one date. A key comes due within the second after its date, never before it. */
export class Calendar<Key> {
  readonly #pages = new Map<number, Set<Key>>();
  readonly #dates = new Map<Key, number>();

  get size(): number {
    return this.#dates.size;
  }

  /** Files `key` under `at`, in place of the date it had. */
  file(key: Key, at: Millis): void {
    const second = Math.ceil(at / 1000);
    if (this.#dates.get(key) === second) return;
    this.strike(key);
    this.#dates.set(key, second);
    const page = this.#pages.get(second);
    if (page) page.add(key);
    else this.#pages.set(second, new Set([key]));
  }

  strike(key: Key): void {
    const second = this.#dates.get(key);
    if (second === undefined) return;
    this.#dates.delete(key);
    const page = this.#pages.get(second);
    page?.delete(key);
    if (page?.size === 0) this.#pages.delete(second);
  }

  /** Takes out every key whose date has passed, oldest first. */
  due(now: Millis): Key[] {
    const current = Math.floor(now / 1000);
    const passed = [...this.#pages.keys()].filter((second) => second <= current).sort((a, b) => a - b);
    const keys: Key[] = [];
    for (const second of passed) {
      for (const key of this.#pages.get(second) ?? []) {
        this.#dates.delete(key);
        keys.push(key);
      }
      this.#pages.delete(second);
    }
    return keys;
  }
}
