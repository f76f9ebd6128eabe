// What the tests use of @xmpp/client, which comes without types.

declare module "@xmpp/client" {
  import type { EventEmitter } from "node:events";
  import type { Element } from "@xmpp/xml";

  /** The payload of the result, or true for an empty one. */
  type Answer = Element | true;

  export interface Client extends EventEmitter {
    readonly iqCaller: { request(iq: Element, timeoutMilliseconds?: number): Promise<Element> };
    readonly iqCallee: {
      set(namespace: string, name: string, answer: (asked: { stanza: Element }) => Answer | Promise<Answer>): void;
    };
    readonly status: string;
    readonly reconnect: { stop(): void };
    /** Resolves with our full JID. */
    start(): Promise<{ toString(): string }>;
    send(stanza: Element): Promise<void>;
    stop(): Promise<unknown>;
  }

  export function client(options: {
    service: string;
    domain: string;
    username: string;
    password: string;
    resource?: string;
  }): Client;
}
