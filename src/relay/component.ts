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
import type { CallHistories } from "../xmpp/console/call-histories.ts";
import { now } from "./clock.ts";
import { offeredDoors, servicesOf, urisOf } from "./doors.ts";
import type { Media } from "./media.ts";
import { operationsOn } from "./operations.ts";

interface ComponentParts {
  readonly media: Media;
  readonly log: Log;
  readonly metrics: Metrics | undefined;
  readonly histories: CallHistories;
  readonly drain: () => void;
  /** Told why, if the relay is to end because the server refuses us. */
  readonly giveUp: (why: Unavailable) => void;
}

export function openComponent(config: Config, xmpp: Xmpp, parts: ComponentParts): Component {
  const { media, log, metrics, histories, drain, giveUp } = parts;
  const [secret] = config.secret;
  assert(secret !== undefined, "an XMPP component needs a shared secret to make credentials with");
  const { service, domain, domains, credentialLifetimeSeconds, administrators } = xmpp;
  const doors = () => offeredDoors(media, xmpp.host);
  const mint = (user: string, lifetimeSeconds: number, at = now()) => {
    const untilSeconds = Math.floor(at / 1000) + lifetimeSeconds;
    return { ...mintCredential(secret, user, untilSeconds), expires: untilSeconds * 1000 };
  };
  const operations = operationsOn({ media, histories, uris: () => urisOf(doors(), config.relay), mint, drain });
  const component = startComponent({
    service,
    domain,
    secret: xmpp.secret,
    ...(domains.length > 0 ? { domains } : {}),
    services: () => servicesOf(doors()).filter(({ type }) => config.relay || type === "stun"),
    offers: xmpp.offer,
    contact: xmpp.contact,
    rate: { perSecond: xmpp.rate.stanzasPerSecond, burst: xmpp.rate.burst },
    allowPrivate: xmpp.offerPrivate || config.loopback,
    // The same from start to start, so that quotas and logs know a user again; and of no use for anything else.
    userKey: createHmac("sha256", secret).update("users of the XMPP component").digest(),
    mint: (user, at) => mint(user, credentialLifetimeSeconds, at),
    isDisabled: (user) => media.operator.bans().some(({ whom }) => "user" in whom && whom.user === user),
    console: {
      administrators,
      operations: {
        ...operations,
        ban(whom, until) {
          const isBanned = operations.ban(whom, until);
          if (isBanned && "user" in whom) component.withdraw(whom.user);
          return isBanned;
        },
      },
    },
    ...(media.channels ? { openChannel: media.channels.open } : {}),
    bytestreams: media.bytestreams,
    version: version(),
    report: (fact) => {
      if (fact.fact === "credentials-issued") histories.hear(now(), fact);
      metrics?.countXmpp(fact);
      log.fact(fact);
      if (fact.fact === "component-refused" && xmpp.whenRefused === "exit") {
        giveUp(new Unavailable(`the XMPP server refuses us: ${fact.reason}: ${fact.advice}`));
      }
    },
    now,
  });
  return component;
}
