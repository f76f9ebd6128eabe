// Requests of users whom somebody outside is asked about: held back meanwhile, and handed in again when there is a word.
// So a client need not know: its request takes a little longer. A retransmission of it changes nothing.

import type { Action, Input, Millis, SocketId } from "../contract.ts";
import { hostOf } from "../stun/address.ts";
import type { AskedUsers, WordOnUser } from "../turn/asked-users.ts";

export interface HeldRequestsOptions {
  readonly asked: Pick<AskedUsers, "hear">;
  /** Never rejects. */
  readonly ask: (username: string) => Promise<WordOnUser>;
  readonly hand: (input: Input) => void;
  readonly now: () => Millis;
}

export type Question = Extract<Action, { do: "ask" }>;

/** What is too much is dropped: over UDP a client sends it again. */
const heldAtMost = 1024;
const heldPerHostAtMost = 64;
const bytesAtMost = 2048;

export class HeldRequests {
  readonly #options: HeldRequestsOptions;
  readonly #held = new Set<Question>();

  constructor(options: HeldRequestsOptions) {
    this.#options = options;
  }

  hold(question: Question): void {
    const others = [...this.#held];
    if (others.some((other) => isSame(other, question)) || !hasRoom(others, question)) return;
    this.#held.add(question);
    if (!others.some(({ username }) => username === question.username)) void this.#ask(question.username);
  }

  /** To be told of a stream connection that has ended: nothing may be opened for it any more. */
  forget(via: SocketId): void {
    for (const question of this.#held) if (question.again.via === via) this.#held.delete(question);
  }

  async #ask(username: string): Promise<void> {
    const { asked, ask, hand, now } = this.#options;
    const word = await ask(username);
    asked.hear(username, word, now());
    const answered = [...this.#held].filter((question) => question.username === username);
    for (const question of answered) this.#held.delete(question);
    for (const { again } of answered) hand(again);
  }
}

function isSame({ again: a }: Question, { again: b }: Question): boolean {
  const isOfSame = a.via === b.via && a.from.address === b.from.address && a.from.port === b.from.port;
  return isOfSame && Buffer.compare(a.bytes, b.bytes) === 0;
}

function hasRoom(held: readonly Question[], { again }: Question): boolean {
  if (held.length >= heldAtMost || again.bytes.length > bytesAtMost) return false;
  const host = hostOf(again.from.address);
  return held.filter((question) => hostOf(question.again.from.address) === host).length < heldPerHostAtMost;
}
