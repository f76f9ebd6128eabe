// XEP-0215: which STUN and TURN servers there are, with credentials of the asker's own. Served in both versions of the
// namespace, since old clients still ask `:1`. What is said here is shaped by what clients do with it: no `transport` on
// STUN (Chromium refuses the whole list), `port` and `transport` and credentials on every TURN entry (others drop it).

import { createHmac } from "node:crypto";
import xml, { type Element } from "@xmpp/xml";
import type { Millis } from "../contract.ts";
import type { Extension } from "./extension.ts";
import type { IqRequest, IqRow } from "./iq.ts";
import { bareJid, type Jid } from "./jid.ts";
import { type ServiceOffers, servicesFor } from "./service-offers.ts";
import { type Refusal, refuse } from "./stanza-errors.ts";
import { dateTime } from "./xep0082-date-time.ts";

const namespaces = ["urn:xmpp:extdisco:2", "urn:xmpp:extdisco:1"] as const;

/** `host` is a domain name or an IP address, without brackets. */
export type ExternalService =
  | { readonly type: "stun" | "stuns"; readonly host: string; readonly port: number }
  | {
      readonly type: "turn" | "turns";
      readonly host: string;
      readonly port: number;
      readonly transport: "udp" | "tcp";
    };

export interface IssuedCredential {
  readonly username: string;
  readonly password: string;
  readonly expires: Millis;
}

export interface ExternalServices {
  readonly services: readonly ExternalService[];
  /** Which of them are for whom. None given: all are for everybody. */
  readonly offers?: ServiceOffers;
  /** Others are forbidden. */
  readonly isServed: (asker: Jid) => boolean;
  /** Keys the hash that stands for a bare JID wherever it can be seen: in TURN usernames, facts and logs. */
  readonly userKey: string | Uint8Array;
  readonly mint: (userHash: string, now: Millis) => IssuedCredential;
}

export function externalServices(options: ExternalServices): Extension {
  const rows = namespaces.flatMap((namespace): IqRow[] => [
    { type: "get", namespace, element: "services", answer: (request) => answerServices(options, namespace, request) },
    {
      type: "get",
      namespace,
      element: "credentials",
      answer: (request) => answerCredentials(options, namespace, request),
    },
  ]);
  return { rows };
}

/** 128 bits of a keyed hash, in hexadecimal: the same for every device of a user, and telling nobody whose it is. */
export function userHash(jid: Jid, key: string | Uint8Array): string {
  return createHmac("sha256", key).update(bareJid(jid)).digest("hex").slice(0, 32);
}

function answerServices(options: ExternalServices, namespace: string, request: IqRequest): Element | Refusal {
  if (!options.isServed(request.from)) return refuse("forbidden");
  const { type } = request.payload.attrs;
  const wanted = offered(options, request).filter((service) => type === undefined || service.type === type);
  return xml("services", { xmlns: namespace, type }, ...describe(options, request, wanted));
}

function answerCredentials(options: ExternalServices, namespace: string, request: IqRequest): Element | Refusal {
  if (!options.isServed(request.from)) return refuse("forbidden");
  const questions = request.payload.getChildren("service", namespace);
  if (questions.length === 0) return refuse("bad-request", "name at least one service");
  if (!questions.every(isQuestion))
    return refuse("bad-request", "a service is named by host and type, and perhaps port");

  const wanted = offered(options, request).filter(
    (service) => needsCredentials(service) && questions.some((question) => isAbout(question, service)),
  );
  if (wanted.length === 0) return refuse("item-not-found");
  return xml("credentials", { xmlns: namespace }, ...describe(options, request, wanted));
}

function offered({ services, offers = new Map() }: ExternalServices, { from }: IqRequest): readonly ExternalService[] {
  return servicesFor(from.domain, services, offers);
}

function isQuestion(question: Element): boolean {
  const { host, type, port } = question.attrs;
  return Boolean(host && type) && (port === undefined || /^\d{1,5}$/.test(port));
}

function isAbout(question: Element, service: ExternalService): boolean {
  const { host, type, port } = question.attrs;
  const isSamePlace = host.toLowerCase() === service.host.toLowerCase() && type === service.type;
  return isSamePlace && (port === undefined || Number(port) === service.port);
}

function needsCredentials(service: ExternalService): boolean {
  return "transport" in service;
}

/** One credential opens every service; it is minted only if one of `services` needs it. */
function describe(options: ExternalServices, request: IqRequest, services: readonly ExternalService[]): Element[] {
  const credentials = services.some(needsCredentials) ? issue(options, request) : undefined;
  return services.map((service) => {
    const { type, host, port } = service;
    return "transport" in service
      ? xml("service", { type, host, port, transport: service.transport, ...credentials })
      : xml("service", { type, host, port });
  });
}

function issue(options: ExternalServices, { from, now, report }: IqRequest) {
  const user = userHash(from, options.userKey);
  const { username, password, expires } = options.mint(user, now);
  report({ fact: "credentials-issued", user, until: expires });
  return { restricted: "1", username, password, expires: dateTime(expires) };
}
