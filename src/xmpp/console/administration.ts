// What the commands for administrators share.

import { type Jid, parseJid } from "../jid.ts";
import type { Operations } from "./operations.ts";

export interface Administration {
  readonly mayAdminister: (asker: Jid) => boolean;
  /** How quotas count whoever this is. */
  readonly userOf: (jid: Jid) => string;
  readonly operations: Operations;
}

/** The account that somebody typed the JID of, in whichever case. */
export function accountOf(typed: string): Jid | undefined {
  const jid = parseJid(typed.toLowerCase());
  return jid?.local ? jid : undefined;
}

/** Whether `typed`, a JID or a name of TURN, means this user. */
export function isNamed(user: string, typed: string, { userOf }: Administration): boolean {
  const account = accountOf(typed);
  return user === typed || (account !== undefined && user === userOf(account));
}
