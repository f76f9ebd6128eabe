// Who asked us for services is sent new credentials before the old ones end, as long as he is there (XEP-0215 section 3.2).
// Servers that delegate have no way to pass this on, so it is for those who asked us directly and showed their presence.

import xml, { type Element } from "@xmpp/xml";
import { Calendar } from "../calendar.ts";
import type { Millis } from "../contract.ts";
import type { Surroundings } from "./iq.ts";
import { type Asking, type ExternalServices, renewedServices, withdrawnServices } from "./xep0215-external-services.ts";

/** The one that was heard of first makes room for a new one. */
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
  readonly asking: Asking;
  /** The id of a push that is not answered yet. */
  unanswered: string | undefined;
}

export class ServicePushes {
  readonly #services: ExternalServices;
  /** By full JID. */
  readonly #devices = new Map<string, Device>();
  readonly #renewals = new Calendar<Promised>();
  readonly #unanswered = new Map<string, Promised>();
  #pushed = 0;

  constructor(services: ExternalServices) {
    this.#services = services;
  }

  /** How many devices are held in mind. */
  get size(): number {
    return this.#devices.size;
  }

  /** `asking` was answered with credentials that end at `until`. */
  promise(asking: Asking, now: Millis, until: Millis): void {
    const device = this.#deviceOf(asking.from);
    const what = `${asking.namespace} ${asking.type ?? ""}`;
    const promised = device.promises.get(what) ?? { device, asking, unanswered: undefined };
    device.promises.set(what, promised);
    this.#settle(promised);
    this.#renewals.file(promised, renewalOf(now, until));
  }

  arrived(jid: string): void {
    this.#deviceOf(jid).isThere = true;
  }

  /** `jid` is a device, or an account that is gone with all of its devices. */
  left(jid: string): void {
    const device = this.#devices.get(jid);
    if (device) this.#forget(device);
    else if (!jid.includes("/")) {
      for (const device of this.#devices.values()) if (device.jid.startsWith(`${jid}/`)) this.#forget(device);
    }
  }

  /** The pushes that are due. Who left the last one unanswered is not there any more. */
  due(surroundings: Surroundings): Element[] {
    const due = this.#renewals.due(surroundings.now);
    for (const promised of due.splice(pushesPerTick)) this.#renewals.file(promised, surroundings.now + 1);
    return due.flatMap((promised) => this.#renew(promised, surroundings));
  }

  /** Whether this was the reply to a push. */
  answered(from: string, id: string, isError: boolean): boolean {
    const promised = this.#unanswered.get(id);
    if (promised?.device.jid !== from) return false;
    this.#settle(promised);
    if (isError) this.#forget(promised.device);
    return true;
  }

  /** Takes back what devices of this user were told of. */
  withdraw(user: string): Element[] {
    const promises = [...this.#devices.values()].flatMap(({ promises }) => [...promises.values()]);
    const theirs = promises.filter(({ asking }) => asking.user === user);
    for (const { device } of theirs) this.#forget(device);
    return theirs
      .filter(({ device }) => device.isThere)
      .map((promised) => this.#push(promised, withdrawnServices(this.#services, promised.asking)));
  }

  #deviceOf(jid: string): Device {
    const device = this.#devices.get(jid) ?? { jid, isThere: false, promises: new Map() };
    this.#devices.set(jid, device);
    const [oldest] = this.#devices.values();
    if (oldest && this.#devices.size > devicesAtMost) this.#forget(oldest);
    return device;
  }

  #forget(device: Device): void {
    this.#devices.delete(device.jid);
    for (const promised of device.promises.values()) {
      this.#renewals.strike(promised);
      this.#settle(promised);
    }
  }

  #renew(promised: Promised, surroundings: Surroundings): Element[] {
    const { device, asking, unanswered } = promised;
    const isThere = device.isThere && unanswered === undefined;
    const renewed = isThere ? renewedServices(this.#services, asking, surroundings) : undefined;
    if (!renewed) {
      this.#forget(device);
      return [];
    }
    const push = this.#push(promised, renewed.payload);
    promised.unanswered = push.attrs.id;
    this.#unanswered.set(push.attrs.id, promised);
    this.#renewals.file(promised, renewalOf(surroundings.now, renewed.until));
    return [push];
  }

  #push({ asking: { from, to } }: Promised, payload: Element): Element {
    this.#pushed += 1;
    return xml("iq", { type: "set", id: `services-${this.#pushed}`, from: to, to: from }, payload);
  }

  #settle(promised: Promised): void {
    if (promised.unanswered !== undefined) this.#unanswered.delete(promised.unanswered);
    promised.unanswered = undefined;
  }
}

/** Ten minutes before they end, or for short-lived ones, when a fifth of their time is left. */
function renewalOf(now: Millis, until: Millis): Millis {
  return until - Math.min(600_000, (until - now) / 5);
}
