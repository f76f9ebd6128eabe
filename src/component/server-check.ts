// Looks at an XMPP server by a stream of its own, as the component that is to be there: whether it lets us in, and then
// whether it does its part.

import { randomBytes } from "node:crypto";
import { Entity } from "../xmpp/entity.ts";
import { Connection, type ConnectionFact } from "./connection.ts";
import { type Finding, isWrong, Look, ServerNotices } from "./server-look.ts";

export interface ServerCheckOptions {
  /** `xmpp://host:port` of the server's component listener. */
  readonly service: string;
  readonly domain: string;
  readonly secret: string;
  /** The server's domains that are to delegate to us. */
  readonly hosts: readonly string[];
}

/** In the order of looking: what comes after a connection that fails is left out. */
export async function checkServer(options: ServerCheckOptions): Promise<Finding[]> {
  const { service, domain, secret, hosts } = options;
  const notices = new ServerNotices(hosts);
  const entity = new Entity({
    domain,
    domains: hosts,
    services: () => [],
    userKey: randomBytes(16),
    budgetKey: randomBytes(16),
    mint: () => ({ username: "", password: "", expires: 0 }),
    version: "",
    report: () => {},
  });
  let concluded = (_: Finding) => {};
  const connected = new Promise<Finding>((resolve) => {
    concluded = resolve;
  });
  const connection = new Connection({
    service,
    domain,
    secret,
    server: hosts[0] ?? domain,
    receive(stanza) {
      notices.hear(stanza);
      return look.hear(stanza) ? [] : entity.handle(Date.now(), { is: "stanza", stanza });
    },
    report(fact) {
      const finding = connectionFinding(fact, options);
      if (finding) concluded(finding);
    },
  });
  const look = new Look({ domain, line: connection, notices, hosts });
  try {
    connection.start();
    const finding = await connected;
    return isWrong(finding) ? [finding] : [finding, ...(await look.atAll())];
  } finally {
    await connection.stop();
  }
}

function connectionFinding(fact: ConnectionFact, { service, domain }: ServerCheckOptions): Finding | undefined {
  if (fact.fact === "component-refused") {
    return { wrong: `the server refuses ${domain} (${fact.reason})`, advice: adviceOn(fact) };
  }
  if (fact.fact !== "component-state") return undefined;
  if (fact.state === "online") return { well: `connected to ${service} as ${domain}` };
  if (fact.state !== "offline") return undefined;
  const advice = "does the server run, and does it take components at this address and port?";
  return { wrong: `no connection to ${service} (${fact.reason})`, advice };
}

function adviceOn({ reason, advice }: Extract<ConnectionFact, { fact: "component-refused" }>): string {
  if (!reason.includes("conflict")) return advice;
  return "somebody is connected by this name. If it is this relay, stop it while you check, or give it `metrics`, by which it can be asked; if not, choose another name";
}
