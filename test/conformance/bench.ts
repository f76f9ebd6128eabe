// What one check works with: the server under test, and every client and peer it opens, closed when the check ends.

import { createHmac } from "node:crypto";
import { Client, type Credential, describe, expectSuccess } from "./client.ts";
import type { Connect, Frame, Transport } from "./connection.ts";
import { Peer, shown } from "./peer.ts";
import { must, notSupported, notTried } from "./requirement.ts";
import { TcpPeer } from "./tcp-peer.ts";
import * as wire from "./wire.ts";

/** The server under test, as the command line tells it. */
export interface Subject {
  /** Where it listens: one address, or one of each family. The first is used unless a check needs IPv6. */
  readonly servers: readonly wire.Endpoint[];
  /** Users it knows. The first is used; the second is "another user". */
  readonly credentials: readonly Credential[];
  /** The shared secret of its REST credentials. */
  readonly secret?: string;
  /** Addresses of this machine that peers bind; the server may reach them. Two of IPv4, to tell permissions apart. */
  readonly peerAddresses: readonly string[];
  /** How clients that would come by plain UDP or TCP come instead, such as over DTLS. */
  readonly connect?: Partial<Record<Transport, Connect>>;
}

export interface Allocation {
  readonly client: Client;
  readonly reply: wire.Reading;
  readonly relayed: wire.Endpoint;
}

export interface ClientOptions {
  readonly transport?: Transport;
  readonly server?: wire.Endpoint;
  readonly credential?: Credential;
}

export interface AllocationOptions extends ClientOptions {
  readonly with?: readonly wire.Attribute[];
}

/** How long the credentials of a run are good for: longer than any lifetime that is asked for and may be granted. */
export const credentialSeconds = 86_400;

/** A time-limited credential of the shared-secret kind (draft-uberti-behave-turn-rest section 2.2). */
export function restCredential(secret: string, username: string): Credential {
  return { username, password: createHmac("sha1", secret).update(username).digest("base64") };
}

export class Bench {
  readonly subject: Subject;
  readonly #usedPorts: Set<number>;
  readonly #open: { close(): Promise<void> }[] = [];

  /** `usedPorts` is shared by the checks of one run. */
  constructor(subject: Subject, usedPorts: Set<number> = new Set()) {
    this.subject = subject;
    this.#usedPorts = usedPorts;
  }

  get server(): wire.Endpoint {
    const [server] = this.subject.servers;
    return server ?? notTried("no server address was given");
  }

  get server6(): wire.Endpoint {
    const server = this.subject.servers.find(({ address }) => address.includes(":"));
    return server ?? notTried("no IPv6 address of the server was given");
  }

  get credential(): Credential {
    const [credential] = this.subject.credentials;
    return credential ?? notTried("no credential was given: --user or --secret");
  }

  get otherCredential(): Credential {
    return this.subject.credentials[1] ?? notTried("needs a second --user");
  }

  async client({ transport = "udp", server, credential }: ClientOptions = {}): Promise<Client> {
    const who = [server ?? this.server, credential ?? this.credential] as const;
    return this.#keep(await Client.open(transport, ...who, this.#usedPorts, this.subject.connect));
  }

  /** A peer on the nth given address of a family. */
  async peer({ family = 4, nth = 0 }: { family?: 4 | 6; nth?: number } = {}): Promise<Peer> {
    const addresses = this.subject.peerAddresses.filter((address) => address.includes(":") === (family === 6));
    const address = addresses[nth] ?? notTried(`needs ${nth + 1} --peer of IPv${family}`);
    return this.#keep(await Peer.open(address));
  }

  async tcpPeer(): Promise<TcpPeer> {
    const address = this.subject.peerAddresses.find((each) => !each.includes(":"));
    return this.#keep(await TcpPeer.open(address ?? notTried("needs a --peer of IPv4")));
  }

  /** A client that has an allocation. A refusal fails the check. */
  async allocation(options: AllocationOptions = {}): Promise<Allocation> {
    const client = await this.client(options);
    return allocated(client, await client.allocate(...(options.with ?? [])));
  }

  /** A client that has a relayed IPv6 address, if the server has such. */
  async allocation6(options: ClientOptions = {}): Promise<Allocation> {
    const client = await this.client(options);
    const reply = await client.allocate(wire.requestedAddressFamily(2));
    supportedOr(reply, "an IPv6 relayed address");
    return allocated(client, reply);
  }

  /** A client that has one relayed address of each family, if the server has dual allocations. IPv4 comes first. */
  async dualAllocation(): Promise<Allocation & { readonly relayed6: wire.Endpoint }> {
    const client = await this.client();
    const reply = await client.allocate(wire.additionalAddressFamily(2));
    supportedOr(reply, "a dual allocation");
    const all = wire.xorAddresses(reply, wire.attribute.xorRelayedAddress);
    const relayed = all.find(({ address }) => !address.includes(":"));
    const relayed6 = all.find(({ address }) => address.includes(":"));
    if (!relayed || !relayed6) notSupported(dualRefusal(reply));
    return { client, reply, relayed, relayed6 };
  }

  #keep<Opened extends { close(): Promise<void> }>(opened: Opened): Opened {
    this.#open.push(opened);
    return opened;
  }

  async close(): Promise<void> {
    for (const each of this.#open.splice(0).reverse()) await each.close();
  }
}

function allocated(client: Client, reply: wire.Reading): Allocation {
  expectSuccess(reply);
  const [relayed] = wire.xorAddresses(reply, wire.attribute.xorRelayedAddress);
  must(relayed, "the success response has no XOR-RELAYED-ADDRESS");
  return { client, reply, relayed };
}

function dualRefusal(reply: wire.Reading): string {
  const told = wire.find(reply, wire.attribute.addressErrorCode)?.value;
  if (told && told.length >= 4) return `ADDRESS-ERROR-CODE ${((told[2] ?? 0) & 7) * 100 + (told[3] ?? 0)}`;
  return "ADDITIONAL-ADDRESS-FAMILY is ignored, as unknown comprehension-optional attributes are";
}

/** Ends the check as "not supported" when the refusal is one that the RFCs give for a missing feature. */
export function supportedOr(reply: wire.Reading, feature: string): void {
  const code = wire.errorCodeOf(reply);
  if ([420, 440, 442, 508].includes(code)) notSupported(`${feature} is refused: ${describe(reply)}`);
}

export const isDataIndication = ({ message }: Frame): boolean =>
  message?.type === (wire.method.data | wire.messageClass.indication);

/** The payload of the next Data indication, which must be `payload` from `peer`. */
export async function expectData(
  client: Client,
  payload: Uint8Array | string,
  peer: wire.Endpoint,
): Promise<wire.Reading> {
  const frame = await client.next("the Data indication", (each) => isDataIndication(each) || !!each.channelData);
  must(frame.message, "ChannelData came instead of a Data indication");
  const got = wire.find(frame.message, wire.attribute.data)?.value;
  const wanted = Buffer.from(payload);
  must(got?.equals(wanted), `the Data indication brings ${got ? shown(got) : "no DATA"} instead of ${shown(wanted)}`);
  const [from] = wire.xorAddresses(frame.message, wire.attribute.xorPeerAddress);
  must(
    from?.address === peer.address && from.port === peer.port,
    `its XOR-PEER-ADDRESS is ${from?.address}:${from?.port}`,
  );
  return frame.message;
}

/** The next payload on a channel, which must be `payload`. */
export async function expectChannelData(client: Client, channel: number, payload: Uint8Array | string): Promise<Frame> {
  const frame = await client.next("ChannelData", (each) => isDataIndication(each) || !!each.channelData);
  must(frame.channelData, "a Data indication came instead of ChannelData");
  must(frame.channelData.channel === channel, `it came on channel 0x${frame.channelData.channel.toString(16)}`);
  const wanted = Buffer.from(payload);
  must(
    frame.channelData.payload.equals(wanted),
    `it brings ${shown(frame.channelData.payload)} instead of ${shown(wanted)}`,
  );
  return frame;
}
