// What a server and its component have to agree on.

export interface ComponentPlace {
  /** The component's own domain. */
  readonly domain: string;
  /** The server's domains that delegate to it. */
  readonly hosts: readonly string[];
  readonly secret: string;
  /** Where the server takes components. */
  readonly address: string;
  readonly port: number;
}

/** What is delegated to the component: XEP-0215, and its older version for old clients. */
export const delegatedNamespaces = ["urn:xmpp:extdisco:2", "urn:xmpp:extdisco:1"] as const;
