// The operator's console, in every XMPP client: commands for administrators, and for users about themselves.

import type { Extension } from "../extension.ts";
import { bareJid, type Jid } from "../jid.ts";
import { commands } from "../xep0050-commands.ts";
import { type AboutOneself, lastCall, ownRelays } from "./about-oneself.ts";
import type { Administration } from "./administration.ts";
import { ban, liftBan } from "./banning.ts";
import { close, drain } from "./closing.ts";
import { credentials } from "./credentials.ts";
import type { Operations } from "./operations.ts";
import { allocations, status } from "./watching.ts";

export interface OperatorConsoleOptions {
  /** Our own address. */
  readonly jid: string;
  /** Bare JIDs, their domains in lower case. */
  readonly administrators: readonly string[];
  /** Who may ask about himself. */
  readonly isServed: (asker: Jid) => boolean;
  /** How quotas and facts call whoever this is. */
  readonly userOf: (jid: Jid) => string;
  readonly sessionKey: string | Uint8Array;
  readonly operations: Operations;
}

export function operatorConsole(options: OperatorConsoleOptions): Extension {
  const { jid, administrators, isServed, userOf, sessionKey, operations } = options;
  const mayAdminister = (asker: Jid) => administrators.includes(bareJid(asker));
  const administration: Administration = { mayAdminister, userOf, operations };
  const aboutOneself: AboutOneself = { mayAsk: isServed, userOf, operations };
  return commands({
    jid,
    sessionKey,
    nameOf: userOf,
    commands: [
      lastCall(aboutOneself),
      ownRelays(aboutOneself),
      status(administration),
      allocations(administration),
      close(administration),
      drain(administration),
      ban(administration),
      liftBan(administration),
      credentials(administration),
    ],
  });
}
