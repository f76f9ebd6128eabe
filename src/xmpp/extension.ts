// What one XEP makes of us: the IQs that it answers, and what service discovery (XEP-0030) says because of it.

import type { IqRow } from "./iq.ts";
import type { Jid } from "./jid.ts";
import type { Refusal } from "./stanza-errors.ts";

/** What we are (https://xmpp.org/registrar/disco-categories.html). */
export interface Identity {
  readonly category: string;
  readonly type: string;
  readonly name: string;
}

/** Another address, or another node of ours, that is found by looking at this one. */
export interface Item {
  readonly jid: string;
  readonly node?: string;
  readonly name?: string;
}

/** More about us than features can say (XEP-0128). */
export interface InfoForm {
  /** Its FORM_TYPE. */
  readonly type: string;
  readonly fields: readonly { readonly name: string; readonly values: readonly string[] }[];
}

/** What is to be seen at one node. What is left out is empty. */
export interface Description {
  readonly identities?: readonly Identity[];
  readonly features?: readonly string[];
  readonly forms?: readonly InfoForm[];
  readonly items?: readonly Item[];
}

export interface Extension extends Description {
  /** Their namespaces are features, too, and need not be named again. */
  readonly rows: readonly IqRow[];
  /** What `asker` sees at a node; `undefined` where the node is none of this extension's. */
  readonly describe?: (node: string, asker: Jid) => Description | Refusal | undefined;
}
