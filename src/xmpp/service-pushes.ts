// Who asked us for services is sent new credentials before the old ones end, as long as he is there (XEP-0215 section 3.2).
// For those who asked us directly, that is as long as they show us their presence. Those who asked their server have
// theirs with it, and are pushed to in the name of their own account, where the server lets us (XEP-0356). They are told, too,
// when services come and go.

import xml, { type Element } from "@xmpp/xml";
import { Calendar } from "../calendar.ts";
import type { Millis } from "../contract.ts";
import type { Surroundings } from "./iq.ts";
import { bareJid } from "./jid.ts";
import {
  type Asking,
  changedServices,
  type ExternalService,
  type ExternalServices,
  renewedServices,
  withdrawnServices,
} from "./xep0215-external-services.ts";
import { isRefused, privilegedSet } from "./xep0356-privileges.ts";

/** The one that was heard of first makes room for a new one: of the same account, or else of all. */
const devicesPerAccount = 50;
const devicesAtMost = 10_000;
/** So that many who came at once do not all get their push at once. */
const pushesPerTick = 200;

interface Device {
  readonly jid: string;
  isThere: boolean;
  /** By namespace and type. */
  readonly promises: Map<string, Promised>;
}

interface Promised {
  readonly device: Device;
  /** The latest: who asks in another way is answered in that from then on. */
  asking: Asking;
  /** Services, of which he knows those that are for him. */
  told: readonly ExternalService[];
  /** The id of a push that is not answered yet. */
  unanswered: string | undefined;
}

export class ServicePushes {
  readonly #domain: string;
  readonly #services: ExternalServices;
  /** By domain: of which namespaces its server takes pushes. */
  readonly #privileges = new Map<string, ReadonlySet<string>>();
  /** By full JID. */
  readonly #devices = new Map<string, Device>();
  /** By bare JID; the one that was heard of first comes first. */
  readonly #byAccount = new Map<string, Set<Device>>();
  readonly #renewals = new Calendar<Promised>();
  readonly #unanswered = new Map<string, Promised>();
  #pushed = 0;
  /** Everybody has been told of these. */
  #toldAll: readonly ExternalService[];

  /** `domain` is our own address. */
  constructor(domain: string, services: ExternalServices) {
    this.#domain = domain;
    this.#services = services;
    this.#toldAll = services.services();
  }

  /** What a server lets us push in its users' name, in place of what it did before. */
  permit(domain: string, namespaces: ReadonlySet<string>): void {
    this.#privileges.set(domain, namespaces);
  }

  /** `asking` was answered with credentials that end at `until`. */
  promise(asking: Asking, now: Millis, until: Millis): void {
    if (!this.#isDirect(asking) && !this.#privileges.get(asking.asker.domain)?.has(asking.namespace)) return;
    const device = this.#deviceOf(asking.from);
    const what = `${asking.namespace} ${asking.type ?? ""}`;
    const promised = device.promises.get(what) ?? { device, asking, told: [], unanswered: undefined };
    device.promises.set(what, promised);
    this.#settle(promised);
    promised.asking = asking;
    promised.told = this.#services.services();
    this.#renewals.file(promised, renewalOf(now, until));
  }

  arrived(jid: string): void {
    this.#deviceOf(jid).isThere = true;
  }

  /** `jid` is a device, or an account that is gone with all of its devices. */
  left(jid: string): void {
    const device = this.#devices.get(jid);
    if (device) this.#forget(device);
    else if (!jid.includes("/")) for (const device of this.#byAccount.get(jid) ?? []) this.#forget(device);
  }

  /** The pushes that are due. Who left the last one unanswered is not there any more. */
  due(surroundings: Surroundings): Element[] {
    const changes = this.#changes(surroundings);
    const due = this.#renewals.due(surroundings.now);
    for (const promised of due.splice(pushesPerTick)) this.#renewals.file(promised, surroundings.now + 1);
    return [...changes, ...due.flatMap((promised) => this.#renew(promised, surroundings))];
  }

  /** Whether this was the reply to a push. */
  answered(reply: Element): boolean {
    const promised = this.#unanswered.get(reply.attrs.id);
    if (!promised || this.#addressee(promised.asking) !== reply.attrs.from) return false;
    this.#settle(promised);
    if (isRefused(reply)) this.#forget(promised.device);
    return true;
  }

  /** Takes back what devices of this user were told of. */
  withdraw(user: string): Element[] {
    const promises = [...this.#devices.values()].flatMap(({ promises }) => [...promises.values()]);
    const theirs = promises.filter(({ asking }) => asking.user === user);
    for (const { device } of theirs) this.#forget(device);
    return theirs
      .filter((promised) => this.#isThere(promised))
      .map((promised) => this.#push(promised, withdrawnServices(this.#services, promised.asking)));
  }

  #deviceOf(jid: string): Device {
    const known = this.#devices.get(jid);
    if (known) return known;
    const device: Device = { jid, isThere: false, promises: new Map() };
    const account = accountOf(device);
    const own = this.#byAccount.get(account) ?? new Set();
    const [oldest] =
      own.size >= devicesPerAccount ? own : this.#devices.size >= devicesAtMost ? this.#devices.values() : [];
    if (oldest) this.#forget(oldest);
    this.#devices.set(jid, device);
    this.#byAccount.set(account, own.add(device));
    return device;
  }

  #forget(device: Device): void {
    if (!this.#devices.delete(device.jid)) return;
    const account = accountOf(device);
    const own = this.#byAccount.get(account);
    own?.delete(device);
    if (own?.size === 0) this.#byAccount.delete(account);
    for (const promised of device.promises.values()) {
      this.#renewals.strike(promised);
      this.#settle(promised);
    }
  }

  /** For who has not been told yet that services have come or gone. */
  #changes(surroundings: Surroundings): Element[] {
    const services = this.#services.services();
    if (this.#toldAll === services) return [];
    const promises = [...this.#devices.values()].flatMap(({ promises }) => [...promises.values()]);
    const waiting = promises.filter((promised) => promised.told !== services && this.#isThere(promised));
    if (waiting.length <= pushesPerTick) this.#toldAll = services;
    return waiting.slice(0, pushesPerTick).flatMap((promised) => {
      const payload = changedServices(this.#services, promised.asking, promised.told, surroundings);
      promised.told = services;
      return payload ? [this.#pushAwaited(promised, payload)] : [];
    });
  }

  #renew(promised: Promised, surroundings: Surroundings): Element[] {
    const { device, asking, unanswered } = promised;
    const isThere = this.#isThere(promised) && unanswered === undefined;
    const renewed = isThere ? renewedServices(this.#services, asking, surroundings) : undefined;
    if (!renewed) {
      this.#forget(device);
      return [];
    }
    this.#renewals.file(promised, renewalOf(surroundings.now, renewed.until));
    return [this.#pushAwaited(promised, renewed.payload)];
  }

  /** One that is to be answered before the next one is due. */
  #pushAwaited(promised: Promised, payload: Element): Element {
    this.#settle(promised);
    const push = this.#push(promised, payload);
    promised.unanswered = push.attrs.id;
    this.#unanswered.set(push.attrs.id, promised);
    return push;
  }

  #push({ asking }: Promised, payload: Element): Element {
    this.#pushed += 1;
    const [id, from, to] = [`services-${this.#pushed}`, this.#domain, asking.from];
    if (this.#isDirect(asking)) return xml("iq", { type: "set", id, from, to }, payload);
    return privilegedSet({ from, of: this.#addressee(asking), to, id }, payload);
  }

  /** Whom a push is handed to. */
  #addressee(asking: Asking): string {
    return this.#isDirect(asking) ? asking.from : bareJid(asking.asker);
  }

  #isDirect({ to }: Asking): boolean {
    return to === this.#domain;
  }

  /** Of who is there through his server we hear only by a push that comes back. */
  #isThere({ device, asking }: Promised): boolean {
    return device.isThere || !this.#isDirect(asking);
  }

  #settle(promised: Promised): void {
    if (promised.unanswered !== undefined) this.#unanswered.delete(promised.unanswered);
    promised.unanswered = undefined;
  }
}

function accountOf({ jid }: Device): string {
  const slash = jid.indexOf("/");
  return slash < 0 ? jid : jid.slice(0, slash);
}

/** Ten minutes before they end, or for short-lived ones, when a fifth of their time is left. */
function renewalOf(now: Millis, until: Millis): Millis {
  return until - Math.min(600_000, (until - now) / 5);
}
