// A TURN client on one UDP socket, as far as the tests of the whole program need one.

import { randomBytes } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import type { Endpoint } from "../../src/contract.ts";
import type { Attributes } from "../../src/stun/attributes.ts";
import { longTermKey } from "../../src/stun/keys.ts";
import { decode, encode, type Message } from "../../src/stun/message.ts";
import { Method } from "../../src/stun/methods.ts";

const udp = 17;

export class TurnClient {
  readonly #socket: Socket;
  readonly #server: Endpoint;
  readonly #who: { readonly username: string; readonly password: string };
  #challenge: Pick<Attributes, "realm" | "nonce"> = {};

  private constructor(socket: Socket, server: Endpoint, who: { username: string; password: string }) {
    this.#socket = socket;
    this.#server = server;
    this.#who = who;
  }

  static async open(server: Endpoint, who: { username: string; password: string }, from = "127.0.0.1") {
    const socket = createSocket("udp4").bind(0, from);
    await once(socket, "listening");
    return new TurnClient(socket, server, who);
  }

  close(): void {
    this.#socket.close();
  }

  send(bytes: Uint8Array): void {
    this.#socket.send(bytes, this.#server.port, this.#server.address);
  }

  async receive(): Promise<Buffer> {
    const [bytes] = await once(this.#socket, "message");
    return bytes;
  }

  /** Asks once; with credentials as soon as the server has said for which realm. */
  async ask(method: keyof typeof Method, attributes: Attributes = {}): Promise<Message | undefined> {
    const { realm, nonce } = this.#challenge;
    const known = realm === undefined ? {} : { realm, nonce, username: this.#who.username };
    const bytes = encode(
      {
        class: "request",
        method: Method[method],
        transactionId: randomBytes(12),
        attributes: { ...attributes, ...known },
      },
      realm === undefined ? {} : { key: longTermKey(this.#who.username, realm, this.#who.password) },
    );
    const answered = this.receive();
    this.send(bytes);
    return decode(await answered);
  }

  /** The answer to an Allocate request with credentials. */
  async allocate(): Promise<Message | undefined> {
    const challenge = await this.ask("allocate", { requestedTransport: udp });
    this.#challenge = { realm: challenge?.attributes.realm, nonce: challenge?.attributes.nonce };
    return this.ask("allocate", { requestedTransport: udp });
  }
}
