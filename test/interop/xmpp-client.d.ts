// What the tests use of @xmpp/client, which comes without types.

declare module "@xmpp/client" {
  import type { EventEmitter } from "node:events";
  import type { Element } from "@xmpp/xml";

  export interface Client extends EventEmitter {
    readonly iqCaller: { request(iq: Element, timeoutMilliseconds?: number): Promise<Element> };
    readonly status: string;
    readonly reconnect: { stop(): void };
    start(): Promise<unknown>;
    stop(): Promise<unknown>;
  }

  export function client(options: { service: string; domain: string; username: string; password: string }): Client;
}
