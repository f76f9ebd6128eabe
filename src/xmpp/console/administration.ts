// What the commands for administrators share.

import type { Jid } from "../jid.ts";
import { accountTyped } from "../xep0106-jid-escaping.ts";
import type { Operations } from "./operations.ts";

export interface Administration {
  readonly mayAdminister: (asker: Jid) => boolean;
  /** How quotas count whoever this is. */
  readonly userOf: (jid: Jid) => string;
  readonly operations: Operations;
}

/** Whether `typed`, a JID or a name of TURN, means this user. */
export function isNamed(user: string, typed: string, { userOf }: Administration): boolean {
  const account = accountTyped(typed);
  return user === typed || (account !== undefined && user === userOf(account));
}
