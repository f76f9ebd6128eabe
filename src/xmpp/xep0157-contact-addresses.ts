// XEP-0157: whom to turn to about this service, as a form in what service discovery says (XEP-0128).

import type { Extension } from "./extension.ts";

const contactRoles = ["abuse", "admin", "feedback", "sales", "security", "status", "support"] as const;

/** URIs, such as `xmpp:` and `mailto:` ones. */
export type ContactAddresses = Partial<Record<(typeof contactRoles)[number], readonly string[]>>;

export function contactAddresses(addresses: ContactAddresses): Extension {
  const fields = contactRoles.flatMap((role) => {
    const values = addresses[role] ?? [];
    return values.length === 0 ? [] : [{ name: `${role}-addresses`, values }];
  });
  return { rows: [], forms: fields.length === 0 ? [] : [{ type: "http://jabber.org/network/serverinfo", fields }] };
}
