// What the rooms say to each other. Machines decide: they turn inputs into actions and touch nothing.
// A dataplane carries the actions out, moves packets along routes, and hands the rest up as inputs.
// Types only, apart from the few words that every room needs.

/** Milliseconds on the relay's one clock: Unix time when it started, advanced monotonically. */
export type Millis = number;

/** An IP address without zone in canonical text (dotted quad, or RFC 5952) and a port, 0 to 65535. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

export type Family = 4 | 6;
/** Between a client and us. */
export type Transport = "udp" | "tcp" | "tls" | "dtls";
/** What a listener takes: one transport, or TCP and TLS, told apart by their first bytes; or SOCKS5 over TCP. */
export type ListenerKind = Transport | "any" | "socks5";

/**
 * Names one listener, one accepted stream connection, one DTLS session, one relay port or one stream connection to a peer.
 * Never reused while the process lives.
 */
export type SocketId = number;

/**
 * Where clients arrive. On UDP, `socket` is also what their datagrams come in by; stream connections and DTLS sessions have
 * their own.
 */
export interface Listener {
  readonly socket: SocketId;
  readonly transport: Transport;
  readonly at: Endpoint;
  /** What is spoken there; STUN and TURN if not said. Of SOCKS5 each message of the handshake is handed up, and no more. */
  readonly protocol?: "socks5";
}

/**
 * How payload is wrapped on a leg: `"bare"` (nothing around it), `"indication"` (a STUN Send or Data indication that
 * names the peer, RFC 8656 section 11), or the channel number of ChannelData (0x4000 to 0x4FFF, section 12.4).
 */
export type Framing = "bare" | "indication" | number;

/** Where a packet can arrive, how it is framed there, and until when. On a relay port, port 0 of `peer` means any. */
export interface Leg {
  readonly socket: SocketId;
  readonly peer: Endpoint;
  readonly framing: Framing;
  readonly until: Millis;
}

/** A packet arriving on one leg leaves on the other. The client's leg comes first. */
export type Route = readonly [client: Leg, peer: Leg];

export type RelayPortWish = "even" | number;

/**
 * How much payload may pass, in each direction by itself, with a second's worth of it at once. Relay ports that name the
 * same bucket share it.
 */
export interface TrafficLimit {
  readonly bucket: string;
  readonly bytesPerSecond?: number | undefined;
  readonly packetsPerSecond?: number | undefined;
}

export type Action =
  /**
   * Bind a relay port and answer `relay-opened` or `relay-failed`. `via` and `client` are whom it is for, so that a
   * plane of several threads can put it where that client's packets arrive. `port` asks for this port, or for an even
   * one, if it can be with the one above it free: another may want that next (RFC 8656 section 18.6).
   */
  | {
      readonly do: "open-relay";
      readonly relay: SocketId;
      readonly family: Family;
      readonly via: SocketId;
      readonly client: Endpoint;
      readonly port?: RelayPortWish | undefined;
      /** Towards peers; UDP if not said. A TCP port is for clients on streams, and carries joined connections, not routes. */
      readonly transport?: "udp" | "tcp" | undefined;
      /** What is beyond one of them goes no further. Four at most. */
      readonly limits?: readonly TrafficLimit[] | undefined;
      /** Its routes may be between two relay ports, and what none of them takes comes up as `stray`. UDP only. */
      readonly handsUp?: boolean | undefined;
    }
  /** An open relay port is from now on for who comes by `via`. */
  | { readonly do: "assign-relay"; readonly relay: SocketId; readonly via: SocketId }
  /** Unbind it; every route over it ends with it. */
  | { readonly do: "close-relay"; readonly relay: SocketId }
  /** An upsert, keyed by both legs without their ends: refreshing a route is sending it again. */
  | { readonly do: "route"; readonly legs: Route }
  | { readonly do: "unroute"; readonly legs: Route }
  /** Connect from a TCP relay port. Answered with `peer-connected` or `peer-failed`. */
  | { readonly do: "connect"; readonly relay: SocketId; readonly peer: SocketId; readonly to: Endpoint }
  /**
   * What comes by one of these two stream connections leaves by the other, from here on: first what was read of it and is
   * nobody's yet. Nothing leaves before what is sent to either along with this. They end together, and `parted` tells of it.
   * Limits are those of the relay port, if there is one.
   */
  | {
      readonly do: "join";
      readonly streams: readonly [client: SocketId, peer: SocketId];
      readonly limits?: readonly TrafficLimit[] | undefined;
      /** They end when nothing has come by either for so long. */
      readonly idleSeconds?: number | undefined;
    }
  /** End a stream connection, or one that is being made. Of two joined ones both are broken off: neither takes it for the end. */
  | { readonly do: "hang-up"; readonly via: SocketId }
  /**
   * Hand up ChannelData from this client, too, that no route takes, until then. An upsert: until 0 ends it. For a client
   * that may come from elsewhere, of which the machine is to hear.
   */
  | { readonly do: "expect"; readonly via: SocketId; readonly from: Endpoint; readonly until: Millis }
  | {
      readonly do: "send";
      readonly via: SocketId;
      readonly to: Endpoint;
      readonly bytes: Uint8Array;
      /** To a peer over IPv4: in one piece or not at all (the DF bit). Only where a plane can. */
      readonly dontFragment?: boolean;
    }
  /** Until then answer no Binding request in place of the machine: there are clients who are to get none. */
  | { readonly do: "hand-up-bindings"; readonly until: Millis }
  /** `mayReach` may answer otherwise than before: what it has said counts no more for what comes in indications. */
  | { readonly do: "ask-again" }
  /** Answer first Allocate requests like this from now on; without, hand them up. For planes that can. */
  | { readonly do: "challenge"; readonly by: Challenge | undefined }
  /** Ask outside who this is, and hand `again` in when that is known, or will not be. Not for planes. */
  | { readonly do: "ask"; readonly username: string; readonly again: Extract<Input, { is: "datagram" }> }
  | { readonly do: "report"; readonly fact: Fact };

/**
 * How the machine answers Allocate requests over UDP that are 28 bytes or longer and carry no integrity, whatever else they
 * carry: with the first of `answers` that is no longer than 2.5 times the request, else with the last; and with a FINGERPRINT
 * if the request has one and the answer then is no longer than that still.
 */
export interface Challenge {
  readonly answers: readonly ChallengeAnswer[];
  readonly secret: Uint8Array;
}

/** A message with zeros where the transaction id goes, and anything where the stamp of the nonce does (turn/nonce.ts). */
export interface ChallengeAnswer {
  readonly bytes: Uint8Array;
  readonly stampAt: number;
  /** The MAC in the stamp is over this as well. */
  readonly context: Uint8Array;
}

export type Input =
  /** Whatever came to a listener and was not routed. `bytes` belong to the receiver. */
  | {
      readonly is: "datagram";
      readonly on: Listener;
      readonly via: SocketId;
      readonly from: Endpoint;
      readonly bytes: Uint8Array;
    }
  | { readonly is: "relay-opened"; readonly relay: SocketId; readonly at: Endpoint }
  | { readonly is: "relay-failed"; readonly relay: SocketId; readonly why: "exhausted" | "no-such-family" }
  /** What came to a relay port that hands up, and was not routed. `bytes` belong to the receiver. */
  | { readonly is: "stray"; readonly relay: SocketId; readonly from: Endpoint; readonly bytes: Uint8Array }
  | { readonly is: "peer-connected"; readonly peer: SocketId }
  | { readonly is: "peer-failed"; readonly peer: SocketId }
  /** Somebody connected to a TCP relay port of who comes by `via`. Nothing of it is lost until it is joined or hung up. */
  | {
      readonly is: "peer-arrived";
      readonly relay: SocketId;
      readonly via: SocketId;
      readonly peer: SocketId;
      readonly from: Endpoint;
    }
  /**
   * An ICMP error came for a packet that had left by this relay port for this peer; port 0 if the system does not say. Of
   * the family that the peer has. `data`: the four bytes before the packet that it quotes; the machine knows when they are an
   * MTU. From planes that hear of such errors.
   */
  | {
      readonly is: "icmp";
      readonly relay: SocketId;
      readonly peer: Endpoint;
      readonly type: number;
      readonly code: number;
      readonly data: number;
    }
  /** A stream connection ended, to a client or to a peer, or a DTLS session; nothing can be sent to it any more. */
  | { readonly is: "hung-up"; readonly via: SocketId }
  /** Two joined connections have ended. */
  | { readonly is: "parted"; readonly streams: readonly [client: SocketId, peer: SocketId]; readonly usage: Usage }
  /** The operator will have it so. Not from planes. */
  | { readonly is: "ordered"; readonly order: Order }
  | { readonly is: "ticked" };

export type Order =
  /** End the allocation that has this relay port. */
  | { readonly order: "close"; readonly relay: SocketId }
  /** Until then let them have nothing, and end what they have. */
  | { readonly order: "ban"; readonly whom: Banned; readonly until: Millis }
  | { readonly order: "lift"; readonly whom: Banned }
  /** Make no new allocations. Those that there are go on. */
  | { readonly order: "drain" }
  /** Other peers than before may be reached: end what leads to those that may not any more. */
  | { readonly order: "recheck-peers" };

/** A user as quotas count him, or whoever comes from a network, in CIDR notation. */
export type Banned = { readonly user: string } | { readonly network: string };

/** Deterministic: no I/O, no clock, no waiting, no randomness of its own, and no exception whatever the input. */
export interface Machine<In = Input, Out = Action> {
  handle(now: Millis, input: In): Out[];
}

/** What happened, for logs, metrics and billing. `user` is a name or its hash, never a password. */
export type Fact =
  | {
      readonly fact: "answered";
      readonly method: string;
      /** 0 for success, else the STUN error code. */
      readonly code: number;
      readonly transport: Transport;
      readonly client: Endpoint;
      /** Whose request it was, as quotas count him. */
      readonly user?: string | undefined;
      /** Whose it was said to be, without proof. */
      readonly claimed?: string | undefined;
    }
  /** A request whose answer might have been more than its network can be made to bear. */
  | { readonly fact: "unanswered"; readonly method: string; readonly client: Endpoint }
  | {
      readonly fact: "allocation-opened";
      readonly relay: SocketId;
      readonly user: string;
      readonly transport: Transport;
      readonly client: Endpoint;
      readonly relayed: Endpoint;
    }
  /** Its client has gone elsewhere and kept it. */
  | {
      readonly fact: "allocation-moved";
      readonly relay: SocketId;
      readonly user: string;
      readonly transport: Transport;
      readonly client: Endpoint;
    }
  | {
      readonly fact: "allocation-closed";
      readonly relay: SocketId;
      readonly user: string;
      readonly why: "deleted" | "expired" | "hung-up" | "ordered";
    }
  | { readonly fact: "relay-closed"; readonly relay: SocketId; readonly usage: Usage }
  /** A channel of XEP-0278. */
  | { readonly fact: "channel-opened" | "channel-closed"; readonly user: string }
  /** Two who waited at the SOCKS5 proxy were joined, in the name of `user`. */
  | { readonly fact: "bytestream-opened"; readonly user: string }
  | {
      readonly fact: "bytestream-closed";
      readonly user: string;
      readonly why: "ended" | "over-quota" | "ordered";
      readonly usage: Usage;
    };

/** What one relay port carried. Payload bytes, without any framing. Of streams, packets are pieces as they came. */
export interface Usage {
  readonly toPeer: Traffic;
  readonly toClient: Traffic;
}

export interface Traffic {
  readonly packets: number;
  readonly bytes: number;
}

/** Why a packet that reached a plane went no further. */
export type DropReason =
  /** From a client that may not come in. */
  | "forbidden-client"
  /** ChannelData for a channel that is not bound, or no longer. */
  | "no-channel"
  /** From a peer that has no permission, or no longer. */
  | "no-permission"
  /** A destination that may not be reached. */
  | "forbidden-peer"
  /** Neither STUN nor ChannelData. */
  | "malformed"
  /** Beyond what may pass through this relay port, or together with others. */
  | "limited"
  /** The socket or the connection could take no more. */
  | "congested"
  /** More was handed up than the controller takes at once, or more requests of strangers came than one network is answered. */
  | "flooded";

export interface PlaneCounters {
  /** Payload relayed since the start, one row a combination that occurred. `transport` is the client's, `family` the relay's. */
  readonly relayed: readonly (Traffic & {
    readonly transport: Transport;
    readonly family: Family;
    readonly direction: "to-peer" | "to-client";
  })[];
  readonly dropped: Readonly<Record<DropReason, number>>;
  readonly relays: number;
  readonly connections: number;
  /** Binding requests that the plane answered by itself, in place of the controller; undefined where it never does. */
  readonly bindings?: number;
  /** Allocate requests that it answered with a 401, in the same way. */
  readonly challenges?: number;
}

/** The address that relay ports of one family bind, and the one that peers see if a NAT stands before it. */
export interface RelayAddress {
  readonly bind: string;
  /** May change: a relay port keeps what it was when the port was opened. */
  readonly external?: string;
}

export interface PlaneOptions {
  readonly relayAddresses: readonly RelayAddress[];
  /** First and last relay port, both included. */
  readonly relayPorts: readonly [first: number, last: number];
  /** Asked before anything of a client is looked at that has no route. Not given where everybody may come in. */
  readonly mayEnter?: ((address: string) => boolean) | undefined;
  /** Asked before any packet leaves for a peer that is not one of this plane's own relay ports. */
  readonly mayReach: (peer: Endpoint) => boolean;
  readonly now: () => Millis;
  /** The one source of socket ids, shared with the machines, which name their relay ports from it. */
  readonly newSocketId: () => SocketId;
  /** Cryptographically random integer from 0 up to, but without, `below`. */
  readonly randomBelow: (below: number) => number;
  readonly hand: (input: Input) => void;
  readonly report: (fact: Fact) => void;
}

/** HMAC (RFC 2104), over these parts as one text. */
export type Hmac = (algorithm: "sha1" | "sha256", key: Uint8Array, ...parts: readonly Uint8Array[]) => Buffer;

/** What not every plane can do. What it cannot is refused to clients. */
export interface PlaneAbilities {
  /** A relay port that was opened for a client on one of these serves it on any other of the same group. */
  readonly movesAmong: readonly (readonly Transport[])[];
  /** By relay ports that were opened for clients on these, it sends with `dontFragment`. */
  readonly dontFragment: readonly Transport[];
  /** Whether it has room for another route over this relay port just now. It always has, if not said. */
  readonly hasRoom?: (relay: SocketId) => boolean;
  /** A faster one than can be made of node:crypto, if it has one. */
  readonly hmac?: Hmac;
  /** Challenges strangers by itself once it is told how. It does not if not said. */
  readonly challenges?: boolean;
}

/** Moves packets. `routes.ts` is its rule in readable form; the conformance suite holds every plane to it. */
export interface Dataplane {
  readonly name: string;
  readonly abilities: PlaneAbilities;
  /**
   * Rejects with `Unavailable` when the address or port is not to be had. Port 0 asks for any free one. A listener of kind
   * `any` is named `tcp`; what comes to it over TLS is on one that is called `tls`, and else is the same.
   */
  listen(kind: ListenerKind, at: Endpoint): Promise<Listener>;
  perform(action: Action): void;
  counters(): PlaneCounters;
  /** What an open relay port has carried so far, or two joined connections, by either of them. */
  usage(socket: SocketId): Usage | undefined;
  /** Ends every socket. Resolves when the last one is closed. */
  close(): Promise<void>;
}

/** Something of the environment that cannot be had now: fall back, or try again later. */
export class Unavailable extends Error {
  override readonly name = "Unavailable";
}

export function familyOf(address: string): Family {
  return address.includes(":") ? 6 : 4;
}

/** An IPv6 address in brackets. */
export function endpointText({ address, port }: Endpoint): string {
  return familyOf(address) === 6 ? `[${address}]:${port}` : `${address}:${port}`;
}

export function isSameEndpoint(one: Endpoint, other: Endpoint): boolean {
  return one.port === other.port && one.address === other.address;
}
