// Media before, during and after a move, with real sockets on both planes: the whole way from the configuration to the
// threads that pass packets on for a client whose relay port is at another one's.

import { afterEach, describe, expect, test } from "vitest";
import { readConfig } from "../../src/config/config.ts";
import type { Endpoint } from "../../src/contract.ts";
import { type Relay, startRelay } from "../../src/relay.ts";
import type { Attributes } from "../../src/stun/attributes.ts";
import { longTermKey } from "../../src/stun/keys.ts";
import { decode, encode } from "../../src/stun/message.ts";
import { Method } from "../../src/stun/methods.ts";
import { pad } from "../../src/stun/stream.ts";
import { makeCertificate, newFolder } from "../dataplane/certificate-files.ts";
import { obstacleToNative } from "../dataplane/native-obstacle.ts";
import { channelData, type TcpEnd, tcpEnd, type UdpEnd, udpEnd } from "../dataplane/rig.ts";
import { needs } from "../interop/needs.ts";

const key = longTermKey("alice", "sluice", "wonderland");
const channelNumber = 0x4001;

const kinds = ["udp", "tcp", ...(needs("openssl") ? (["tls"] as const) : [])] as const;
type Kind = (typeof kinds)[number];

const ends: { close(): Promise<void> }[] = [];
let relay: Relay;

afterEach(async () => {
  await Promise.all(ends.splice(0).map((end) => end.close()));
  await relay.stop();
});

async function openRelay(dataplane: string): Promise<void> {
  const flags = {
    listen: kinds.map((kind) => `${kind}://127.0.0.1:0`),
    ...(kinds.length > 2 && { tls: makeCertificate(newFolder(), ["relay.example.org"]) }),
    user: { alice: "wonderland" },
    mobility: true,
    loopback: true,
    "relay-address": "127.0.0.1",
    metrics: "none",
    log: { level: "silent" },
    dataplane,
  };
  relay = await startRelay(readConfig({ flags }));
}

/** Alice at one address. */
class Caller {
  readonly #end: UdpEnd | TcpEnd;
  readonly #server: Endpoint;
  #nonce = "";
  #transactions = 0;

  private constructor(end: UdpEnd | TcpEnd, server: Endpoint) {
    this.#end = end;
    this.#server = server;
    ends.push(end);
  }

  static async at(transport: Kind): Promise<Caller> {
    const listener = relay.listeners.find((each) => each.transport === transport);
    if (!listener) throw new Error(`no listener for ${transport}`);
    const end = transport === "udp" ? await udpEnd("127.0.0.1") : await tcpEnd(listener);
    return new Caller(end, listener.at);
  }

  says(bytes: Uint8Array): void {
    this.#end.send("socket" in this.#end ? pad(bytes) : bytes, this.#server);
  }

  async hears(): Promise<Buffer> {
    return Buffer.from(await this.#end.next());
  }

  hangsUp(): Promise<void> {
    return this.#end.close();
  }

  /** What a request was granted, which it was. */
  async asks(method: "allocate" | "refresh" | "channelBind", attributes: Attributes): Promise<Attributes> {
    const { errorCode, nonce, ...granted } = await this.#transact(method, attributes);
    if (!errorCode) return granted;
    expect([401, 438]).toContain(errorCode.code);
    this.#nonce = nonce ?? "";
    const again = await this.#transact(method, attributes);
    expect(again.errorCode).toBeUndefined();
    return again;
  }

  async #transact(method: keyof typeof Method, attributes: Attributes): Promise<Attributes> {
    const transactionId = Buffer.alloc(12, this.#transactions);
    this.#transactions += 1;
    const credential = { username: "alice", realm: "sluice", nonce: this.#nonce };
    const draft = { class: "request", method: Method[method], transactionId } as const;
    this.says(encode({ ...draft, attributes: { ...attributes, ...credential } }, { key }));
    return decode(await this.hears())?.attributes ?? {};
  }
}

interface Call {
  caller: Caller;
  ticket: Uint8Array | undefined;
  readonly peer: UdpEnd;
  readonly relayed: Endpoint;
}

async function call(transport: Kind): Promise<Call> {
  const [caller, peer] = [await Caller.at(transport), await udpEnd("127.0.0.1")];
  ends.push(peer);
  const wishes = { requestedTransport: 17, mobilityTicket: new Uint8Array() };
  const { xorRelayedAddress: [relayed] = [], mobilityTicket } = await caller.asks("allocate", wishes);
  if (!relayed) throw new Error("no relayed address");
  await caller.asks("channelBind", { channelNumber, xorPeerAddress: [peer.at] });
  return { caller, ticket: mobilityTicket, peer, relayed };
}

async function expectOut({ peer, relayed }: Call, from: Caller, text: string): Promise<void> {
  from.says(channelData(channelNumber, text));
  expect(await peer.nextFrom()).toEqual({ bytes: Buffer.from(text), from: relayed });
}

async function expectIn({ peer, relayed }: Call, to: Caller, text: string): Promise<void> {
  peer.send(text, relayed);
  expect(await to.hears()).toEqual(channelData(channelNumber, text));
}

const planes = ["portable", ...(obstacleToNative() ? [] : ["native"])];
const moves = planes.flatMap((plane) => kinds.flatMap((here) => kinds.map((there) => [plane, here, there] as const)));

describe.each(moves)("on the %s plane, a client that moves from %s to %s", (plane, here, there) => {
  test("goes on with its media, from place to place", async () => {
    await openRelay(plane);
    const on = await call(here);
    // By the hash of its address, a client is at home at either of two threads.
    for (let move = 0; move < 8; move++) {
      const next = await Caller.at(there);
      on.ticket = (await next.asks("refresh", { mobilityTicket: on.ticket })).mobilityTicket;
      await expectIn(on, on.caller, `to where it was, ${move}`);
      await expectOut(on, on.caller, `from where it was, ${move}`);
      await expectOut(on, next, `from where it is, ${move}`);
      await expectIn(on, next, `to where it is, ${move}`);
      await expectOut(on, next, `from where it stays, ${move}`);
      on.caller = next;
    }
  });
});

describe.each(planes)("on the %s plane, a client whose connection ends", (plane) => {
  test("goes on with its media over another one", async () => {
    await openRelay(plane);
    const on = await call("tcp");
    await on.caller.hangsUp();
    on.caller = await Caller.at("tcp");
    on.ticket = (await on.caller.asks("refresh", { mobilityTicket: on.ticket })).mobilityTicket;
    await expectIn(on, on.caller, "hello again");
    await expectOut(on, on.caller, "hello");
  });
});
