// XEP-0106: the address of an account as people write it, with characters that a localpart may not have, and as it is sent.
// Servers know their accounts by the latter, and so do quotas and bans.

import type { Extension } from "./extension.ts";
import { type Jid, parseJid } from "./jid.ts";

export const jidEscaping: Extension = { rows: [], features: ["jid\\20escaping"] };

const disallowed = /[ "&'/:<>@]/;
/** Those, and a backslash that would be taken for the beginning of an escape. */
const escaped = /[ "&'/:<>@]|\\(?=20|22|26|27|2f|3a|3c|3e|40|5c)/g;

/** The account that somebody typed the address of, in whichever case and either form; what stands behind it is left out. */
export function accountTyped(typed: string): Jid | undefined {
  const text = typed.trim().toLowerCase();
  const slash = text.indexOf("/");
  const bare = slash > text.indexOf("@") ? text.slice(0, slash) : text;
  const at = bare.lastIndexOf("@");
  const local = escapedLocalpart(bare.slice(0, Math.max(at, 0)));
  const jid = local === undefined ? undefined : parseJid(`${local}@${bare.slice(at + 1)}`);
  return jid && /[\s@]/.test(jid.domain) ? undefined : jid;
}

/** As it is where nothing in it has to be escaped. Undefined where nothing can be sent for it (section 5.1). */
function escapedLocalpart(local: string): string | undefined {
  if (!disallowed.test(local)) return local;
  if (local.startsWith(" ") || local.endsWith(" ")) return undefined;
  return local.replace(escaped, (character) => `\\${character.charCodeAt(0).toString(16)}`);
}
