// A device that asks for services and is sent new ones (XEP-0215 section 3.2).

import type { Element } from "@xmpp/xml";
import { expect } from "vitest";
import type { EntityOptions } from "../../src/xmpp/entity.ts";
import { entity, now } from "./iq-table.ts";
import { readXml } from "./read-xml.ts";

export const phone = "alice@example.org/phone";
export const us = "relay.example.org";
export const minute = 60_000;
/** Credentials are good for an hour, and renewed ten minutes before that. */
export const renewal = now + 50 * minute + 1000;

/** One of us, and what it says to whatever happens. */
export class Talk {
  readonly entity;
  at = now;

  constructor(changes: Partial<EntityOptions> = {}) {
    this.entity = entity({
      mint: (user, at) => ({ username: `${at / 1000 + 3600}:${user}`, password: "minted", expires: at + 60 * minute }),
      ...changes,
    }).entity;
  }

  says(stanza: string): Element[] {
    return this.entity.handle(this.at, { is: "stanza", stanza: readXml(stanza) });
  }

  asks(from = phone, attributes = ""): void {
    const [reply] = this.says(
      `<iq type='get' id='q' from='${from}' to='${us}'><services xmlns='urn:xmpp:extdisco:2' ${attributes}/></iq>`,
    );
    expect(reply?.attrs.type).toBe("result");
  }

  isThere(from = phone): void {
    this.says(`<presence from='${from}' to='${us}'/>`);
  }

  ticks(at: number): Element[] {
    this.at = at;
    return this.entity.handle(at, { is: "ticked" });
  }

  answers(push: Element | undefined, type: "result" | "error"): Element[] {
    return this.says(`<iq type='${type}' id='${push?.attrs.id}' from='${push?.attrs.to}' to='${us}'/>`);
  }
}

export function present(changes: Partial<EntityOptions> = {}): Talk {
  const talk = new Talk(changes);
  talk.isThere();
  talk.asks();
  return talk;
}
