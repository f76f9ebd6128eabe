// Everything that Sluice is over XMPP: one line an extension. What no row of theirs answers is refused.

import type { Extension } from "./extension.ts";
import type { IqRow } from "./iq.ts";
import { isUserOf } from "./jid.ts";
import { disco } from "./xep0030-disco.ts";
import { softwareVersion } from "./xep0092-version.ts";
import { pings } from "./xep0199-ping.ts";
import { type ExternalServices, externalServices } from "./xep0215-external-services.ts";
import { delegation } from "./xep0355-delegation.ts";

export interface IqTableOptions extends Omit<ExternalServices, "isServed"> {
  /** Whose users get credentials, and whose servers may ask in their users' name; in lower case. */
  readonly domains: readonly string[];
  readonly version: string;
}

const name = "Sluice";

export function iqTable(options: IqTableOptions): IqRow[] {
  const { domains, version } = options;
  const delegable = [externalServices({ ...options, isServed: (asker) => isUserOf(asker, domains) })];
  const extensions: Extension[] = [
    component,
    softwareVersion(name, version),
    pings,
    ...delegable,
    delegation({ domains, extensions: delegable }),
  ];
  return [disco(extensions), ...extensions].flatMap(({ rows }) => rows);
}

const component: Extension = { rows: [], identities: [{ category: "component", type: "generic", name }] };
