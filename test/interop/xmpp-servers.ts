// The XMPP servers that every interop test of the component runs against: for `describe.each`.

import { ejabberd } from "./ejabberd.ts";
import { prosody } from "./prosody.ts";

export const xmppServers = [
  { name: "Prosody", make: prosody, packages: ["prosody", "prosody-modules"] },
  { name: "ejabberd", make: ejabberd, packages: ["ejabberd"] },
] as const;
