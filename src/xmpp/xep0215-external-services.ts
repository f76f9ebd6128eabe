// XEP-0215: which STUN and TURN servers there are, with credentials of the asker's own. Served in both versions of the
// namespace, since old clients still ask `:1`. What is said here is shaped by what clients do with it: no `transport` on
// STUN (Chromium refuses the whole list), `port` and `transport` and credentials on every TURN entry (others drop it).

import { createHmac } from "node:crypto";
import xml, { type Element } from "@xmpp/xml";
import type { Millis } from "../contract.ts";
import type { Extension } from "./extension.ts";
import type { IqRequest, IqRow, Surroundings } from "./iq.ts";
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
  /** Another array once they have changed. */
  readonly services: () => readonly ExternalService[];
  /** Which of them are for whom. None given: all are for everybody. */
  readonly offers?: ServiceOffers;
  /** Others are forbidden. */
  readonly isServed: (asker: Jid) => boolean;
  /** Keys the hash that stands for a bare JID wherever it can be seen: in TURN usernames, facts and logs. */
  readonly userKey: string | Uint8Array;
  readonly mint: (userHash: string, now: Millis) => IssuedCredential;
  /** Whether a user gets no credentials for the time being. */
  readonly isDisabled?: (userHash: string, now: Millis) => boolean;
  /** Told who was answered with credentials that will expire, and so may want new ones by then. */
  readonly informed?: (asking: Asking, now: Millis, until: Millis) => void;
}

/** Who asked for services, where, and for which. */
export interface Asking {
  readonly asker: Jid;
  /** The hash that stands for the asker. */
  readonly user: string;
  /** The asker's address as it was written, and the one that was asked: ours, or what he calls his server by. */
  readonly from: string;
  readonly to: string | undefined;
  readonly namespace: string;
  readonly type: string | undefined;
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

/** What is pushed to who asked before (section 3.2): new credentials, or nothing if there are none for him. */
export function renewedServices(options: ExternalServices, asking: Asking, surroundings: Surroundings) {
  const { asker, user, namespace, type } = asking;
  if (!mayHave(options, asker, user, surroundings.now)) return undefined;
  const wanted = offered(options, asker).filter((service) => needsCredentials(service) && isOf(type, service));
  if (wanted.length === 0) return undefined;
  const credential = issue(options, user, surroundings);
  const payload = writeServices(namespace, type, describe(wanted, credential, "modify"));
  return { payload, until: credential.expires };
}

/** What is pushed to who was told of other services than there are now, if that makes a difference to him. */
export function changedServices(
  options: ExternalServices,
  asking: Asking,
  told: readonly ExternalService[],
  surroundings: Surroundings,
): Element | undefined {
  const { asker, user, namespace, type } = asking;
  if (!mayHave(options, asker, user, surroundings.now)) return undefined;
  const [were, are] = [told, options.services()].map((services) =>
    offeredOf(services, options, asker).filter((service) => isOf(type, service)),
  );
  const [added, gone] = [missingIn(were, are), missingIn(are, were)];
  if (added.length === 0 && gone.length === 0) return undefined;
  const credential = added.some(needsCredentials) ? issue(options, user, surroundings) : undefined;
  return writeServices(namespace, type, [
    ...describe(added, credential, "add"),
    ...describe(gone, undefined, "delete"),
  ]);
}

function missingIn(some: readonly ExternalService[] = [], others: readonly ExternalService[] = []): ExternalService[] {
  const known = new Set(some.map((service) => JSON.stringify(service)));
  return others.filter((service) => !known.has(JSON.stringify(service)));
}

/** What is pushed to who is not to use them any more. */
export function withdrawnServices(options: ExternalServices, { asker, namespace, type }: Asking): Element {
  const known = offered(options, asker).filter((service) => needsCredentials(service) && isOf(type, service));
  return writeServices(namespace, type, describe(known, undefined, "delete"));
}

function answerServices(options: ExternalServices, namespace: string, request: IqRequest): Element | Refusal {
  const { from: asker, iq, now } = request;
  const user = userHash(asker, options.userKey);
  if (!mayHave(options, asker, user, now)) return refuse("forbidden");
  const { type } = request.payload.attrs;
  const wanted = offered(options, asker).filter((service) => isOf(type, service));
  const credential = wanted.some(needsCredentials) ? issue(options, user, request) : undefined;
  if (credential) {
    const asking = { asker, user, from: iq.attrs.from, to: iq.attrs.to, namespace, type };
    options.informed?.(asking, now, credential.expires);
  }
  return writeServices(namespace, type, describe(wanted, credential));
}

function answerCredentials(options: ExternalServices, namespace: string, request: IqRequest): Element | Refusal {
  const user = userHash(request.from, options.userKey);
  if (!mayHave(options, request.from, user, request.now)) return refuse("forbidden");
  const questions = request.payload.getChildren("service", namespace);
  if (questions.length === 0) return refuse("bad-request", "name at least one service");
  if (!questions.every(isQuestion))
    return refuse("bad-request", "a service is named by host and type, and perhaps port");

  const wanted = offered(options, request.from).filter(
    (service) => needsCredentials(service) && questions.some((question) => isAbout(question, service)),
  );
  if (wanted.length === 0) return refuse("item-not-found");
  return xml("credentials", { xmlns: namespace }, ...describe(wanted, issue(options, user, request)));
}

function mayHave({ isServed, isDisabled }: ExternalServices, asker: Jid, user: string, now: Millis): boolean {
  return isServed(asker) && !isDisabled?.(user, now);
}

function offered(options: ExternalServices, asker: Jid): readonly ExternalService[] {
  return offeredOf(options.services(), options, asker);
}

function offeredOf(
  services: readonly ExternalService[],
  { offers = new Map() }: Pick<ExternalServices, "offers">,
  asker: Jid,
): readonly ExternalService[] {
  return servicesFor(asker.domain, services, offers);
}

function isOf(type: string | undefined, service: ExternalService): boolean {
  return type === undefined || service.type === type;
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

function writeServices(namespace: string, type: string | undefined, services: readonly Element[]): Element {
  return xml("services", { xmlns: namespace, type }, ...services);
}

/** One credential opens every service. */
function describe(
  services: readonly ExternalService[],
  credential: IssuedCredential | undefined,
  action?: "add" | "modify" | "delete",
): Element[] {
  const secrets = credential && {
    restricted: "1",
    username: credential.username,
    password: credential.password,
    expires: dateTime(credential.expires),
  };
  return services.map((service) => {
    const { type, host, port } = service;
    return "transport" in service
      ? xml("service", { action, type, host, port, transport: service.transport, ...secrets })
      : xml("service", { action, type, host, port });
  });
}

function issue({ mint }: ExternalServices, user: string, { now, report }: Surroundings): IssuedCredential {
  const credential = mint(user, now);
  report({ fact: "credentials-issued", user, until: credential.expires });
  return credential;
}
