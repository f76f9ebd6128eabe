// What has arrived at a socket and nobody has looked at yet; readers take what they wait for and leave the rest.

/** How long a reader waits for what should come at once: not a delay, but when none is taken for an answer. */
export const patienceMilliseconds = 5000;

/** The order of arrival is kept. */
export class Inbox<Item> {
  readonly #items: Item[] = [];
  readonly #readers = new Set<() => void>();

  put(item: Item): void {
    this.#items.push(item);
    for (const look of [...this.#readers]) look();
  }

  /** Takes out the first match that is already here. */
  take(matches: (item: Item) => boolean): Item | undefined {
    const at = this.#items.findIndex(matches);
    return at < 0 ? undefined : this.#items.splice(at, 1)[0];
  }

  /** Takes out the first match, now or when it arrives; `undefined` once `milliseconds` have passed without one. */
  next(matches: (item: Item) => boolean = () => true, milliseconds = patienceMilliseconds): Promise<Item | undefined> {
    return new Promise((resolve) => {
      const settle = (item: Item | undefined) => {
        clearTimeout(deadline);
        this.#readers.delete(look);
        resolve(item);
      };
      const look = () => {
        const item = this.take(matches);
        if (item !== undefined) settle(item);
      };
      const deadline = setTimeout(() => settle(undefined), milliseconds);
      this.#readers.add(look);
      look();
    });
  }
}
