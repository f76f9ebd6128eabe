// Asks the operator's program over HTTP who a name is. Whatever that does, a question ends within its deadline, no more
// questions are under way than were agreed on, and when several in a row come to nothing, nobody waits for the next ones.

import { z } from "zod";
import type { Millis } from "../contract.ts";
import { parseAlternateDoors } from "../turn/alternates.ts";
import type { WordOnUser } from "../turn/asked-users.ts";

export interface AuthHookOptions {
  readonly url: string;
  /** Shown to it as `Authorization: Bearer KEY`. */
  readonly key?: string | undefined;
  readonly realm: string;
  readonly deadlineMillis: Millis;
  readonly questionsAtOnce: number;
  readonly now: () => Millis;
  readonly report: (fact: AuthHookFact) => void;
}

export type AuthHookFact =
  | { readonly fact: "auth-hook-silent"; readonly reason: string }
  | { readonly fact: "auth-hook-answers" };

const late = new Error("it does not answer in time");
const failuresTolerated = 5;
const restMillis = 10_000;
const answerBytesAtMost = 4096;

/** One URL, or a list of them. */
const alternateDoors = z
  .union([z.string().transform((url) => [url]), z.array(z.string()).min(1).max(16)])
  .transform((urls, context) => {
    const doors = urls.map(parseAlternateDoors);
    if (doors.includes(undefined)) context.addIssue({ code: "custom", message: "expected where a server is" });
    return doors.flatMap((each) => each ?? []);
  });

const answerSchema = z.object({
  md5: hexadecimal(16),
  sha256: hexadecimal(32).optional(),
  /** Unix seconds. */
  until: z.number().positive(),
  user: z.string().min(1).max(508).optional(),
  /** Who should serve this user instead of us. */
  alternate: z.object({ at: alternateDoors, name: z.string().min(1).max(255).optional() }).optional(),
});

export class AuthHook {
  readonly #options: AuthHookOptions;
  /** One for each question. They are held here because Node 20 collects what AbortSignal.any and timeout make. */
  readonly #deadlines = new Set<AbortController>();
  /** Those that wait until there is room for one more question. */
  readonly #waiting = new Set<(hasRoom: boolean) => void>();
  #underWay = 0;
  #failures = 0;
  #restsUntil: Millis = 0;
  #isStopped = false;

  constructor(options: AuthHookOptions) {
    this.#options = options;
  }

  /** Never rejects. Silence is whatever is not an answer: an error, the deadline, a pause after failures. */
  async ask(username: string): Promise<WordOnUser> {
    if (this.#isStopped || this.#options.now() < this.#restsUntil) return "silence";
    // After a rest, one question finds out whether it answers again.
    if (this.#failures >= failuresTolerated) this.#restsUntil = this.#options.now() + restMillis;
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(late), this.#options.deadlineMillis);
    this.#deadlines.add(deadline);
    try {
      return await this.#askInTurn(username, deadline.signal);
    } finally {
      clearTimeout(timer);
      this.#deadlines.delete(deadline);
    }
  }

  async #askInTurn(username: string, signal: AbortSignal): Promise<WordOnUser> {
    if (!(await this.#room(signal))) return "silence";
    try {
      const word = await this.#question(username, signal);
      this.#succeed();
      return word;
    } catch (error) {
      this.#fail(error);
      return "silence";
    } finally {
      this.#leave();
    }
  }

  stop(): void {
    this.#isStopped = true;
    for (const deadline of this.#deadlines) deadline.abort();
  }

  /** Whether there came to be room before the signal. */
  async #room(signal: AbortSignal): Promise<boolean> {
    if (this.#underWay < this.#options.questionsAtOnce) {
      this.#underWay += 1;
      return true;
    }
    return await new Promise((resolve) => {
      this.#waiting.add(resolve);
      signal.addEventListener("abort", () => this.#waiting.delete(resolve) && resolve(false), { once: true });
    });
  }

  #leave(): void {
    const [next] = this.#waiting;
    if (!next) {
      this.#underWay -= 1;
      return;
    }
    this.#waiting.delete(next);
    next(true);
  }

  async #question(username: string, signal: AbortSignal): Promise<WordOnUser> {
    const { url, key, realm } = this.#options;
    const response = await fetch(url, {
      method: "POST",
      redirect: "error",
      signal,
      headers: {
        "content-type": "application/json",
        ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
      },
      body: JSON.stringify({ username, realm }),
    });
    const text = await textOf(response);
    if (response.status === 404) return "nobody";
    if (response.status !== 200) throw new Error(`it answers ${response.status}`);
    const answer = answerSchema.safeParse(JSON.parse(text));
    if (!answer.success) throw new Error("its answer is not { md5, sha256, until, user, alternate }");
    const { user = username, until, md5, sha256, alternate } = answer.data;
    return { user, until: until * 1000, keys: { md5, sha256 }, alternate: alternate && { ...alternate, weight: 1 } };
  }

  #succeed(): void {
    if (this.#failures >= failuresTolerated) this.#options.report({ fact: "auth-hook-answers" });
    this.#failures = 0;
    this.#restsUntil = 0;
  }

  #fail(error: unknown): void {
    if (this.#isStopped) return;
    this.#failures += 1;
    if (this.#failures < failuresTolerated) return;
    this.#restsUntil = this.#options.now() + restMillis;
    if (this.#failures === failuresTolerated) this.#options.report({ fact: "auth-hook-silent", reason: reason(error) });
  }
}

function hexadecimal(bytes: number) {
  return z
    .string()
    .regex(/^[0-9a-f]*$/i)
    .length(2 * bytes)
    .transform((text): Uint8Array => Buffer.from(text, "hex"));
}

/** Also of an answer that is of no interest, so that its connection can be used again. */
async function textOf({ body }: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body ?? []) {
    bytes += chunk.length;
    if (bytes > answerBytesAtMost) throw new Error(`its answer has more than ${answerBytesAtMost} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** Names what failed, and nothing that was asked or answered. */
function reason(error: unknown): string {
  if (!(error instanceof Error)) return "unknown";
  if (error instanceof SyntaxError) return "its answer is not JSON";
  return error.cause instanceof Error ? error.cause.message : error.message;
}
