// Everything that Sluice is over XMPP: one line an extension. What no row of theirs answers is refused.

import type { Element } from "@xmpp/xml";
import type { Extension } from "./extension.ts";
import type { IqRow } from "./iq.ts";
import { isUserOf } from "./jid.ts";
import { disco } from "./xep0030-disco.ts";
import { softwareVersion } from "./xep0092-version.ts";
import { jidEscaping } from "./xep0106-jid-escaping.ts";
import { capabilities, writeCapabilities } from "./xep0115-capabilities.ts";
import { type ContactAddresses, contactAddresses } from "./xep0157-contact-addresses.ts";
import { pings } from "./xep0199-ping.ts";
import { type ExternalServices, externalServices } from "./xep0215-external-services.ts";
import { delegation } from "./xep0355-delegation.ts";

export interface IqTableOptions extends Omit<ExternalServices, "isServed"> {
  /** Whose users get credentials, and whose servers may ask in their users' name; in lower case. */
  readonly domains: readonly string[];
  readonly version: string;
  /** What there is beyond what every component has. */
  readonly extensions?: readonly Extension[];
  /** Whom to turn to about this service. */
  readonly contact?: ContactAddresses;
}

export interface IqTable {
  readonly rows: readonly IqRow[];
  /** All of it as one short string, for presence. */
  readonly capabilities: Element;
}

const name = "Sluice";

export function iqTable(options: IqTableOptions): IqTable {
  const { domains, version, contact = {} } = options;
  const delegable = [externalServices({ ...options, isServed: (asker) => isUserOf(asker, domains) })];
  const extensions: Extension[] = [
    component,
    capabilities,
    contactAddresses(contact),
    softwareVersion(name, version),
    pings,
    jidEscaping,
    ...delegable,
    delegation({ domains, extensions: delegable }),
    ...(options.extensions ?? []),
  ];
  const { extension, whole } = disco(extensions);
  return {
    rows: [extension, ...extensions].flatMap(({ rows }) => rows),
    capabilities: writeCapabilities(whole),
  };
}

const component: Extension = { rows: [], identities: [{ category: "component", type: "generic", name }] };
