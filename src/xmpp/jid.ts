// XMPP addresses, split and compared (RFC 7622). The server has prepared them before they reach a component.

export interface Jid {
  /** Empty for the address of a server or a component. */
  readonly local: string;
  /** In lower case. */
  readonly domain: string;
  /** Empty for a bare JID. */
  readonly resource: string;
}

/** `undefined` for what is not an address. */
export function parseJid(text: unknown): Jid | undefined {
  if (typeof text !== "string") return undefined;
  const slash = text.indexOf("/");
  const bare = slash < 0 ? text : text.slice(0, slash);
  const at = bare.indexOf("@");
  const jid = {
    local: bare.slice(0, Math.max(at, 0)),
    domain: bare.slice(at + 1).toLowerCase(),
    resource: slash < 0 ? "" : text.slice(slash + 1),
  };
  const emptyPart = jid.domain === "" || at === 0 || slash === text.length - 1;
  const longPart = [jid.local, jid.domain, jid.resource].some((part) => Buffer.byteLength(part) > 1023);
  return emptyPart || longPart ? undefined : jid;
}

/** The account or server that `jid` belongs to, without the device. */
export function bareJid(jid: Jid): string {
  return jid.local === "" ? jid.domain : `${jid.local}@${jid.domain}`;
}

/** A server or a component itself, not one of its users or resources. */
export function isServer(jid: Jid): boolean {
  return jid.local === "" && jid.resource === "";
}

/** An account, not a server or a component, of one of `domains` (in lower case). */
export function isUserOf(jid: Jid, domains: readonly string[]): boolean {
  return jid.local !== "" && domains.includes(jid.domain);
}
