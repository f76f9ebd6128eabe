// What this room uses of @xmpp/component 0.13, which comes without types.

declare module "@xmpp/component" {
  import type { EventEmitter } from "node:events";
  import type { Socket } from "node:net";
  import type { Element } from "@xmpp/xml";

  export interface Entity extends EventEmitter {
    /** Both are called with `new`. */
    Socket: unknown;
    Parser: unknown;
    /** In milliseconds, for opening the stream and for the handshake. */
    timeout: number;
    readonly socket: Socket | null;
    readonly reconnect: { stop(): void };
    socketParameters(service: string): { host: string; port: number };
    connect(service: string): Promise<unknown>;
    open(options: { domain: string }): Promise<unknown>;
    send(element: Element): Promise<void>;
    write(text: string): Promise<void>;
  }

  export function component(options: { service: string; domain: string; password: string }): Entity;
}
