// What somebody outside has said about names, for a while: who is a user and by which keys, and who is none.

import type { Millis } from "../contract.ts";
import type { LongTermKeys } from "../stun/keys.ts";
import type { AlternateServer } from "./alternates.ts";
import type { Authenticate, Credential, MustAsk } from "./credentials.ts";

export interface AskedUser {
  /** What quotas count. */
  readonly user: string;
  readonly keys: LongTermKeys;
  readonly until: Millis;
  readonly alternate?: AlternateServer | undefined;
}

/** What comes of a question; `"silence"` if nothing does. */
export type WordOnUser = AskedUser | "nobody" | "silence";

export interface AskedUsersOptions {
  /** Names of users that are kept, and as many of others. Of too many the oldest goes. */
  readonly namesAtMost: number;
  readonly userSeconds: number;
  readonly nobodySeconds: number;
}

interface Word {
  readonly credentials: readonly Credential[];
  readonly askAgainAt: Millis;
}

/** After this it is asked again what was not answered. */
const silenceSeconds = 1;

export class AskedUsers {
  readonly #options: AskedUsersOptions;
  readonly #users = new Map<string, Word>();
  /** Kept apart: any stranger can make up names, and shall not push users out with them. */
  readonly #others = new Map<string, Word>();

  constructor(options: AskedUsersOptions) {
    this.#options = options;
  }

  /** A user is known for longer than nobody is asked: until there is another word. */
  readonly authenticate: Authenticate = (username, now) =>
    this.#users.get(username)?.credentials.filter(({ until }) => until > now) ?? [];

  readonly mustAsk: MustAsk = (username, now) => {
    const word = this.#users.get(username) ?? this.#others.get(username);
    return !word || word.askAgainAt <= now;
  };

  /** Silence changes nothing about a user who is known, but for when to ask again. */
  hear(username: string, word: WordOnUser, now: Millis): void {
    const credentials = word === "silence" ? this.authenticate(username, now) : credentialsOf(word, now);
    const isKnown = credentials.length > 0;
    const seconds = this.#secondsFor(word, isKnown);
    const askAgainAt = Math.min(now + seconds * 1000, ...credentials.map(({ until }) => until));
    this.#users.delete(username);
    this.#others.delete(username);
    this.#keep(isKnown ? this.#users : this.#others, username, { credentials, askAgainAt });
  }

  #secondsFor(word: WordOnUser, isKnown: boolean): number {
    if (word === "silence") return silenceSeconds;
    return isKnown ? this.#options.userSeconds : this.#options.nobodySeconds;
  }

  #keep(words: Map<string, Word>, username: string, word: Word): void {
    const [oldest] = words.keys();
    if (oldest !== undefined && words.size >= this.#options.namesAtMost) words.delete(oldest);
    words.set(username, word);
  }
}

function credentialsOf(word: AskedUser | "nobody", now: Millis): readonly Credential[] {
  return word !== "nobody" && word.until > now ? [word] : [];
}
