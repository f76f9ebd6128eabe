// The IQs that we asked and whose replies are due. A reply counts only if it carries the id of a question and comes from
// whom it was put to: any JID may write to a component.

import type { Element } from "@xmpp/xml";
import { Unavailable } from "../contract.ts";

interface Question {
  readonly to: string;
  readonly answered: (reply: Element) => void;
  readonly failed: (why: Unavailable) => void;
  readonly timer: NodeJS.Timeout;
}

export class Questions {
  readonly #open = new Map<string, Question>();

  ask(id: string, to: string, timeoutSeconds: number): Promise<Element> {
    return new Promise((answered, failed) => {
      const late = () => this.fail(id, new Unavailable(`no reply within ${timeoutSeconds} s`));
      this.#open.set(id, { to, answered, failed, timer: setTimeout(late, timeoutSeconds * 1000) });
    });
  }

  /** Whether `reply` answers a question. */
  answer(reply: Element): boolean {
    const { id, from } = reply.attrs;
    const question = this.#open.get(id);
    if (!question || question.to !== from) return false;
    this.#close(id)?.answered(reply);
    return true;
  }

  fail(id: string, why: Unavailable): void {
    this.#close(id)?.failed(why);
  }

  failAll(why: Unavailable): void {
    for (const id of [...this.#open.keys()]) this.fail(id, why);
  }

  #close(id: string): Question | undefined {
    const question = this.#open.get(id);
    this.#open.delete(id);
    clearTimeout(question?.timer);
    return question;
  }
}
