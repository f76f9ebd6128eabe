// The IQs that Sluice answers: all of them. What no row answers is refused with <service-unavailable/>.

import type { IqRow } from "./iq.ts";
import { isUserOf } from "./jid.ts";
import { discoRows } from "./xep0030-disco.ts";
import { versionNamespace, versionRow } from "./xep0092-version.ts";
import { pingNamespace, pingRow } from "./xep0199-ping.ts";
import {
  type ExternalServices,
  externalServicesNamespaces,
  externalServicesRows,
} from "./xep0215-external-services.ts";
import { delegationNamespaces, delegationNodes, delegationRows } from "./xep0355-delegation.ts";

export interface IqTableOptions extends Omit<ExternalServices, "isServed"> {
  /** Whose users get credentials, and whose servers may ask in their users' name; in lower case. */
  readonly domains: readonly string[];
  readonly version: string;
}

export function iqTable(options: IqTableOptions): IqRow[] {
  const { domains, version } = options;
  const name = "Sluice";
  const externalServices = externalServicesRows({ ...options, isServed: (asker) => isUserOf(asker, domains) });
  return [
    ...discoRows({
      identity: { category: "component", type: "generic", name },
      features: [versionNamespace, pingNamespace, ...externalServicesNamespaces, ...delegationNamespaces],
      nodes: delegationNodes(externalServicesNamespaces),
    }),
    versionRow(name, version),
    pingRow,
    ...externalServices,
    ...delegationRows({ domains, table: externalServices }),
  ];
}
