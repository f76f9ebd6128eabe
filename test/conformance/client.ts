// A STUN and TURN client that does what a check tells it, right or wrong: transactions with retransmission, the
// long-term mechanism (RFC 8489 section 9.2), and the turns of a TURN conversation in one call each.

import { type Connect, type Connection, connectTcp, connectUdp, type Frame, type Transport } from "./connection.ts";
import { patienceMilliseconds } from "./inbox.ts";
import { must } from "./requirement.ts";
import * as wire from "./wire.ts";

export interface Credential {
  readonly username: string;
  readonly password: string;
}

/** How long after each try a request goes out again over UDP, in milliseconds. */
const resendAfter = [500, 1000];
/** What a server's 401 offers. */
export interface Challenge {
  readonly realm: string;
  readonly nonce: Buffer;
  readonly reply: wire.Reading;
}

export interface RequestOptions {
  readonly credential?: Credential;
  readonly transactionId?: Uint8Array;
  readonly nonce?: Uint8Array;
}

export class Client {
  readonly connection: Connection;
  readonly credential: Credential;
  #challenge: Challenge | undefined;
  /** Whether the server has answered an Allocate with success, and no Refresh of zero since. */
  hasAllocation = false;

  private constructor(connection: Connection, credential: Credential) {
    this.connection = connection;
    this.credential = credential;
  }

  static async open(
    transport: Transport,
    server: wire.Endpoint,
    credential: Credential,
    usedPorts: Set<number>,
    { udp = connectUdp, tcp = connectTcp }: Partial<Record<Transport, Connect>> = {},
  ): Promise<Client> {
    const connection = await (transport === "udp" ? udp : tcp)(server, usedPorts);
    return new Client(connection, credential);
  }

  send(bytes: Uint8Array): void {
    this.connection.send(bytes);
  }

  /** The next frame that matches, or a failure that says what did not come. */
  async next(what: string, matches: (frame: Frame) => boolean): Promise<Frame> {
    const frame = await this.connection.inbox.next(matches);
    must(frame, `${what} did not come within ${patienceMilliseconds} ms`);
    return frame;
  }

  /** Sends a request, again if need be over UDP, and resolves with the first response that has its transaction id. */
  async transact(request: Uint8Array): Promise<wire.Reading> {
    const { inbox, transport } = this.connection;
    const waits = transport === "udp" ? resendAfter : [];
    for (const milliseconds of [...waits, patienceMilliseconds]) {
      this.send(request);
      const frame = await inbox.next((each) => answers(each, request), milliseconds);
      if (frame?.message) return frame.message;
    }
    must(false, "no answer");
  }

  /** A request without credentials. */
  request(method: number, attributes: readonly wire.Attribute[] = []): Promise<wire.Reading> {
    return this.transact(wire.message(method | wire.messageClass.request, attributes));
  }

  /** What the server's 401 to an Allocate without credentials offered, asked for once. */
  async challenge(): Promise<Challenge> {
    this.#challenge ??= await this.askForChallenge();
    return this.#challenge;
  }

  /** Begins with what another client was offered: a nonce that is not for this one is replaced when it is refused. */
  startFrom(challenge: Challenge): void {
    this.#challenge = challenge;
  }

  async askForChallenge(...more: readonly wire.Attribute[]): Promise<Challenge> {
    const reply = await this.request(wire.method.allocate, [wire.requestedTransport(), ...more]);
    const [realm, nonce] = [wire.find(reply, wire.attribute.realm), wire.find(reply, wire.attribute.nonce)];
    must(wire.errorCodeOf(reply) === 401 && realm && nonce, `no usable challenge: ${describe(reply)}`);
    return { realm: realm.value.toString(), nonce: nonce.value, reply };
  }

  /** The three attributes of an authenticated request, and the key to close it with. */
  async authentication(options: RequestOptions = {}): Promise<{ attributes: wire.Attribute[]; key: Buffer }> {
    const { realm, nonce } = await this.challenge();
    const { username, password } = options.credential ?? this.credential;
    const attributes = [
      wire.attributeOf(wire.attribute.username, username),
      wire.attributeOf(wire.attribute.realm, realm),
      wire.attributeOf(wire.attribute.nonce, options.nonce ?? nonce),
    ];
    return { attributes, key: wire.longTermKey(username, realm, password) };
  }

  async key(): Promise<Buffer> {
    return (await this.authentication()).key;
  }

  /** The bytes of a request under the long-term mechanism with MD5, as a client of RFC 5389 or 8489 sends it. */
  async signed(method: number, attributes: readonly wire.Attribute[], options: RequestOptions = {}): Promise<Buffer> {
    const authentication = await this.authentication(options);
    const type = method | wire.messageClass.request;
    const whole = wire.message(type, [...attributes, ...authentication.attributes], options.transactionId);
    return wire.withIntegrity(whole, authentication.key);
  }

  /** An authenticated transaction. A nonce that has gone stale is replaced once, unless the check chose it. */
  async ask(
    method: number,
    attributes: readonly wire.Attribute[] = [],
    options: RequestOptions = {},
  ): Promise<wire.Reading> {
    const reply = await this.transact(await this.signed(method, attributes, options));
    this.#remember(method, attributes, reply);
    const fresh = wire.find(reply, wire.attribute.nonce)?.value;
    if (wire.errorCodeOf(reply) !== 438 || !fresh || options.nonce || !this.#challenge) return reply;
    this.#challenge = { ...this.#challenge, nonce: fresh };
    const second = await this.transact(await this.signed(method, attributes, options));
    this.#remember(method, attributes, second);
    return second;
  }

  #remember(method: number, attributes: readonly wire.Attribute[], reply: wire.Reading): void {
    if (wire.classOf(reply) !== wire.messageClass.success) return;
    if (method === wire.method.allocate) this.hasAllocation = true;
    const deletes = attributes.some(({ type, value }) => type === wire.attribute.lifetime && isZero(value));
    if (method === wire.method.refresh && deletes) this.hasAllocation = false;
  }

  // --- the turns of a conversation ---

  /** An Allocate for UDP; whatever the server says. */
  allocate(...attributes: readonly wire.Attribute[]): Promise<wire.Reading> {
    return this.ask(wire.method.allocate, [wire.requestedTransport(), ...attributes]);
  }

  refresh(...attributes: readonly wire.Attribute[]): Promise<wire.Reading> {
    return this.ask(wire.method.refresh, attributes);
  }

  createPermission(...peers: readonly wire.Endpoint[]): Promise<wire.Reading> {
    return this.ask(wire.method.createPermission, peers.map(wire.xorPeerAddress));
  }

  bindChannel(channel: number, peer: wire.Endpoint): Promise<wire.Reading> {
    return this.ask(wire.method.channelBind, [wire.channelNumber(channel), wire.xorPeerAddress(peer)]);
  }

  sendIndication(...attributes: readonly wire.Attribute[]): void {
    this.send(wire.message(wire.method.send | wire.messageClass.indication, attributes));
  }

  sendTo(peer: wire.Endpoint, payload: Uint8Array | string): void {
    this.sendIndication(wire.xorPeerAddress(peer), wire.data(payload));
  }

  /** Channel data, padded where the transport demands it. */
  sendOn(channel: number, payload: Uint8Array | string): void {
    const isStream = this.connection.transport === "tcp";
    this.send(isStream ? wire.paddedChannelData(channel, payload) : wire.channelData(channel, payload));
  }

  /**
   * Has the server refuse a Binding request that it cannot answer without thought. Datagrams of one socket to another
   * keep their order on a host and are answered in turn, so what an earlier one could have brought has arrived when this
   * resolves. A plain Binding request would not do: a server may answer those ahead of all others.
   */
  async mark(): Promise<void> {
    const reply = await this.request(wire.method.binding, [wire.attributeOf(0x7ff0)]);
    must(wire.classOf(reply) === wire.messageClass.error, `the marker Binding was not refused: ${describe(reply)}`);
  }

  /** Sends `bytes` and fails if anything matching came back before the marker's answer. */
  async expectSilence(bytes: Uint8Array, matches: (frame: Frame) => boolean = () => true): Promise<void> {
    await this.mark();
    this.send(bytes);
    await this.expectNothing(matches);
  }

  /** Fails if anything matching is here, or arrives before a marker's answer. */
  async expectNothing(matches: (frame: Frame) => boolean = () => true): Promise<void> {
    await this.mark();
    const reply = this.connection.inbox.take(matches);
    must(
      !reply,
      `answered: ${reply?.message ? describe(reply.message) : reply?.bytes.subarray(0, 32).toString("hex")}`,
    );
  }

  /** Gives back what the server holds for this client, and the socket. */
  async close(): Promise<void> {
    if (this.hasAllocation) await this.refresh(wire.lifetime(0)).catch(() => {});
    await this.connection.close();
  }
}

function answers(frame: Frame, request: Uint8Array): boolean {
  const { message } = frame;
  if (!message || (message.type & wire.messageClass.success) === 0) return false;
  return message.bytes.subarray(4, wire.headerBytes).equals(request.subarray(4, wire.headerBytes));
}

function isZero(value: wire.Attribute["value"]): boolean {
  return typeof value !== "function" && value.every((byte) => byte === 0);
}

/** A reply in a few words: "success", or the error's number and phrase. */
export function describe(reply: wire.Reading): string {
  const code = wire.errorCodeOf(reply);
  if (code === 0)
    return `${wire.classOf(reply) === wire.messageClass.success ? "success" : "message"} (0x${hex(reply.type)})`;
  const phrase = wire.find(reply, wire.attribute.errorCode)?.value.subarray(4).toString() ?? "";
  return `${code} ${phrase}`.trim();
}

export function hex(number: number, digits = 4): string {
  return number.toString(16).padStart(digits, "0");
}

/** Fails unless the reply is an error with one of the codes; resolves to words for the table. */
export function expectError(reply: wire.Reading, ...codes: readonly number[]): string {
  const isExpected = wire.classOf(reply) === wire.messageClass.error && codes.includes(wire.errorCodeOf(reply));
  must(isExpected, `expected ${codes.join(" or ")}, got ${describe(reply)}`);
  return describe(reply);
}

export function expectSuccess(reply: wire.Reading): string {
  must(wire.classOf(reply) === wire.messageClass.success, `expected success, got ${describe(reply)}`);
  return describe(reply);
}
