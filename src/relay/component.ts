// The XMPP component, and what it needs of the others: the services to name, and credentials that the TURN server takes.

import { strict as assert } from "node:assert";
import { createHmac } from "node:crypto";
import type { Log } from "../admin/log.ts";
import type { Metrics } from "../admin/metrics.ts";
import { version } from "../cli/version.ts";
import { type Component, startComponent } from "../component/component.ts";
import type { Config, Xmpp } from "../config/config.ts";
import { Unavailable } from "../contract.ts";
import { mintCredential } from "../turn/credentials.ts";
import { now } from "./clock.ts";
import { servicesOf } from "./doors.ts";
import { type Media, offeredDoors } from "./media.ts";

interface ComponentParts {
  readonly media: Media;
  readonly log: Log;
  readonly metrics: Metrics | undefined;
  /** Told why, if the relay is to end because the server refuses us. */
  readonly giveUp: (why: Unavailable) => void;
}

export function openComponent(config: Config, xmpp: Xmpp, { media, log, metrics, giveUp }: ComponentParts): Component {
  const [secret] = config.secret;
  assert(secret !== undefined, "an XMPP component needs a shared secret to make credentials with");
  const { service, domain, domains, credentialLifetimeSeconds } = xmpp;
  return startComponent({
    service,
    domain,
    secret: xmpp.secret,
    ...(domains.length > 0 ? { domains } : {}),
    services: servicesOf(offeredDoors(media, xmpp.host)).filter(({ type }) => config.relay || type === "stun"),
    offers: xmpp.offer,
    contact: xmpp.contact,
    rate: { perSecond: xmpp.rate.stanzasPerSecond, burst: xmpp.rate.burst },
    allowPrivate: xmpp.offerPrivate || config.loopback,
    // The same from start to start, so that quotas and logs know a user again; and of no use for anything else.
    userKey: createHmac("sha256", secret).update("users of the XMPP component").digest(),
    mint: (user, at) => {
      const untilSeconds = Math.floor(at / 1000) + credentialLifetimeSeconds;
      return { ...mintCredential(secret, user, untilSeconds), expires: untilSeconds * 1000 };
    },
    version: version(),
    report: (fact) => {
      metrics?.countXmpp(fact);
      log.fact(fact);
      if (fact.fact === "component-refused" && xmpp.whenRefused === "exit") {
        giveUp(new Unavailable(`the XMPP server refuses us: ${fact.reason}: ${fact.advice}`));
      }
    },
    now,
  });
}
