// A world for the TURN machine: it owns the clock, carries actions out on paper, and lets clients talk to the server.

import { createHmac } from "node:crypto";
import { expect } from "vitest";
import type {
  Action,
  Endpoint,
  Fact,
  Input,
  Listener,
  Millis,
  RelayPortWish,
  Route,
  SocketId,
  Transport,
} from "../../src/contract.ts";
import type { Attributes } from "../../src/stun/attributes.ts";
import { isIntact } from "../../src/stun/integrity.ts";
import { longTermKey } from "../../src/stun/keys.ts";
import { type Draft, decode, encode, type Message, type Protection } from "../../src/stun/message.ts";
import { Method } from "../../src/stun/methods.ts";
import { authenticator } from "../../src/turn/credentials.ts";
import { defaultLimits, type Limits } from "../../src/turn/limits.ts";
import { type PeerPolicy, type PeerPolicyOptions, peerPolicy } from "../../src/turn/peer-policy.ts";
import { TurnServer } from "../../src/turn/server.ts";
import type { TurnOptions } from "../../src/turn/turn-options.ts";

export const realm = "example.org";
export const secret = "a shared secret";
export const users = new Map([
  ["alice", "wonderland"],
  ["bob", "builder"],
]);

/** A peer that anybody may reach, and others like it. */
export const peer: Endpoint = { address: "8.8.4.4", port: 4000 };
export const otherPeer: Endpoint = { address: "9.9.9.9", port: 4000 };
export const sixthPeer: Endpoint = { address: "2a00:1450::1", port: 4000 };

export const udpListener: Listener = { socket: 1, transport: "udp", at: { address: "192.0.2.1", port: 3478 } };
export const tcpListener: Listener = { socket: 2, transport: "tcp", at: { address: "192.0.2.1", port: 3478 } };
const tlsListener: Listener = { socket: 3, transport: "tls", at: { address: "192.0.2.1", port: 5349 } };
const dtlsListener: Listener = { socket: 4, transport: "dtls", at: { address: "192.0.2.1", port: 5349 } };

export interface WorldOptions extends Partial<Omit<TurnOptions, "limits" | "peers">> {
  readonly limits?: Partial<Limits>;
  readonly peers?: Partial<PeerPolicyOptions>;
}

function policyOf(peers: Partial<PeerPolicyOptions> = {}): PeerPolicy {
  return peerPolicy({
    allow: [],
    deny: [],
    loopback: false,
    listeners: [udpListener.at, tcpListener.at],
    relayAddresses: ["192.0.2.1", "2001:db8::1"],
    ...peers,
  });
}

export class World {
  now: Millis = 1_800_000_000_000;
  readonly server: TurnServer;
  readonly listeners = { udp: udpListener, tcp: tcpListener, tls: tlsListener, dtls: dtlsListener };
  /** Relay ports that wait to be opened. They are opened at once unless `opensAtOnce` is false. */
  readonly opening: SocketId[] = [];
  readonly #wishes = new Map<SocketId, RelayPortWish>();
  opensAtOnce = true;
  readonly relays = new Map<SocketId, Endpoint>();
  readonly facts: Fact[] = [];
  /** What the server did last, apart from reporting. */
  actions: Action[] = [];
  readonly #routes = new Map<string, Route>();
  #lastSocket = 100;

  #peers: PeerPolicy;

  constructor(options: WorldOptions = {}) {
    this.#peers = policyOf(options.peers);
    this.server = new TurnServer({
      realm,
      authenticate: authenticator({ users, secrets: [secret] }),
      families: [4, 6],
      nonceSecret: new Uint8Array(16).fill(7),
      newSocketId: () => this.newSocketId(),
      ...options,
      peers: {
        mayPermit: (address, port) => this.#peers.mayPermit(address, port),
        mayReach: (to) => this.#peers.mayReach(to),
      },
      limits: { ...defaultLimits, ...options.limits },
    });
  }

  /** The operator has other lists of peers from now on. */
  judgesPeersBy(peers: Partial<PeerPolicyOptions>): Action[] {
    this.#peers = policyOf(peers);
    return this.hears({ is: "ordered", order: { order: "recheck-peers" } });
  }

  newSocketId(): SocketId {
    this.#lastSocket += 1;
    return this.#lastSocket;
  }

  /** Routes that are alive, in the order they were first sent. */
  get routes(): Route[] {
    return [...this.#routes.values()].filter(([client]) => client.until > this.now);
  }

  /** Lets time pass, ticking every second of it. */
  passes(seconds: number): Action[] {
    const actions: Action[] = [];
    for (let second = 0; second < seconds; second++) {
      this.now += 1000;
      actions.push(...this.hears({ is: "ticked" }));
    }
    return actions;
  }

  hears(input: Input): Action[] {
    const actions = this.server.handle(this.now, input);
    for (const action of actions) this.#perform(action);
    this.actions = actions.filter((action) => action.do !== "report");
    const waiting = this.opensAtOnce ? this.opening.splice(0) : [];
    return [...actions, ...waiting.flatMap((relay) => this.opens(relay))];
  }

  opens(relay: SocketId, at: Endpoint = { address: "192.0.2.1", port: this.#portOf(relay) }): Action[] {
    this.relays.set(relay, at);
    return this.hears({ is: "relay-opened", relay, at });
  }

  client(address = "198.51.100.7", options: { port?: number; transport?: Transport; user?: string } = {}): Client {
    const { port = 5000, transport = "udp", user = "alice" } = options;
    const on = this.listeners[transport];
    const via = transport === "udp" ? on.socket : this.newSocketId();
    return new Client(this, { on, via, from: { address, port } }, user, users.get(user) ?? "");
  }

  #portOf(relay: SocketId): number {
    const wish = this.#wishes.get(relay);
    const port = 49152 + relay;
    return wish === "even" ? port + (port % 2) : (wish ?? port);
  }

  #perform(action: Action): void {
    switch (action.do) {
      case "open-relay":
        this.opening.push(action.relay);
        if (action.port !== undefined) this.#wishes.set(action.relay, action.port);
        break;
      case "close-relay":
        this.relays.delete(action.relay);
        for (const [key, [, leg]] of this.#routes) if (leg.socket === action.relay) this.#routes.delete(key);
        break;
      case "route":
        expect(this.relays.has(action.legs[1].socket), "a route over a relay port that is open").toBe(true);
        this.#routes.set(routeKey(action.legs), action.legs);
        break;
      case "unroute":
        this.#routes.delete(routeKey(action.legs));
        break;
      case "report":
        this.facts.push(action.fact);
        break;
    }
  }
}

/** One five-tuple, and who speaks on it. */
export class Client {
  readonly world: World;
  readonly tuple: { on: Listener; via: SocketId; from: Endpoint };
  username: string;
  password: string;
  nonce = "";
  #transactions = 0;

  constructor(world: World, tuple: Client["tuple"], username: string, password: string) {
    this.world = world;
    this.tuple = tuple;
    this.username = username;
    this.password = password;
  }

  get key(): Uint8Array {
    return longTermKey(this.username, realm, this.password);
  }

  /** Bytes to the server; the bytes that come back to this client. */
  sends(bytes: Uint8Array): Uint8Array[] {
    const actions = this.world.hears({ is: "datagram", ...this.tuple, bytes });
    return actions.flatMap((action) => (action.do === "send" && action.via === this.tuple.via ? [action.bytes] : []));
  }

  transactionId(): Uint8Array {
    this.#transactions += 1;
    const id = Buffer.alloc(12, this.tuple.from.port & 0xff);
    id.writeUInt32BE(this.#transactions);
    return id;
  }

  request(method: keyof typeof Method, attributes: Attributes = {}): Draft & { transactionId: Uint8Array } {
    return { class: "request", method: Method[method], transactionId: this.transactionId(), attributes };
  }

  /** A request with credentials, as bytes. */
  sign(draft: Draft, protection: Protection = {}, attributes: Attributes = {}): Uint8Array {
    const { username, nonce, key } = this;
    return encode(
      { ...draft, attributes: { ...draft.attributes, username, realm, nonce, ...attributes } },
      { key, ...protection },
    );
  }

  /** Makes the integrity of a message right again that was tampered with. Its last attribute is MESSAGE-INTEGRITY. */
  seal(bytes: Uint8Array): Uint8Array {
    const end = bytes.length - 24;
    return Buffer.concat([
      bytes.subarray(0, end + 4),
      createHmac("sha1", this.key).update(bytes.subarray(0, end)).digest(),
    ]);
  }

  /** The one answer to these bytes, which is to be this transaction's. */
  hearsBack(bytes: Uint8Array): Message {
    const answers = this.sends(bytes);
    expect(answers).toHaveLength(1);
    const answer = decode(answers[0] ?? new Uint8Array());
    expect(Buffer.from(answer?.transactionId ?? [])).toEqual(Buffer.from(decode(bytes)?.transactionId ?? []));
    if (!answer) throw new Error("the answer is not STUN");
    return answer;
  }

  /** Asks without credentials. */
  asksBare(method: keyof typeof Method, attributes: Attributes = {}): Message {
    return this.hearsBack(encode(this.request(method, attributes)));
  }

  /** Asks with credentials, after fetching a nonce if there is none yet, and checks the answer's integrity. */
  asks(method: keyof typeof Method, attributes: Attributes = {}): Message {
    if (!this.nonce) this.fetchNonce();
    const bytes = this.sign(this.request(method, attributes));
    const answers = this.sends(bytes);
    expect(answers).toHaveLength(1);
    const [answerBytes = new Uint8Array()] = answers;
    const answer = decode(answerBytes);
    if (!answer) throw new Error("the answer is not STUN");
    const code = answer.attributes.errorCode?.code;
    if (code !== 401 && code !== 438) expect(isIntact(answerBytes, this.key), "integrity of the answer").toBe(true);
    return answer;
  }

  /** Large enough a request to be offered what there is, of which an RFC 5389 client, as this one, knows nothing. */
  fetchNonce(): void {
    this.nonce = this.asksBare("allocate", { requestedTransport: 17, software: "a client" }).attributes.nonce ?? "";
  }

  /** Asks for an allocation, which is to be had, and returns the relayed address. */
  allocates(attributes: Attributes = {}): Endpoint {
    const answer = this.asks("allocate", { requestedTransport: 17, ...attributes });
    expect(answer.attributes.errorCode).toBeUndefined();
    const [relayed] = answer.attributes.xorRelayedAddress ?? [];
    if (!relayed) throw new Error("no relayed address");
    return relayed;
  }

  indicates(attributes: Attributes): Action[] {
    const bytes = encode({
      class: "indication",
      method: Method.send,
      transactionId: this.transactionId(),
      attributes,
    });
    return this.world.hears({ is: "datagram", ...this.tuple, bytes });
  }
}

/** The error code of an answer, 0 for success. */
export function codeOf(answer: Message): number {
  return answer.attributes.errorCode?.code ?? 0;
}

function routeKey([client, far]: Route): string {
  const { socket, peer, framing } = client;
  return JSON.stringify([socket, peer, framing, far.socket, far.peer]);
}
