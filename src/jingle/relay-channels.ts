// Relay channels of XEP-0278 as a machine: four UDP ports each, RTP and RTCP for who asked for it and for the other party.
// A port belongs to the first source that sends it media; two that face each other and have one each become a route.

import { Calendar } from "../calendar.ts";
import type { Action, Endpoint, Family, Input, Machine, Millis, Order, SocketId } from "../contract.ts";
import { count } from "../counts.ts";
import { Latch } from "./latch.ts";

export interface RelayChannelsOptions {
  readonly family: Family;
  readonly limits: ChannelLimits;
  /** Whether the operator has shut out who comes from there. */
  readonly isBanned: (address: string, now: Millis) => boolean;
  readonly newSocketId: () => SocketId;
}

export interface ChannelLimits {
  readonly channels: number;
  readonly channelsPerUser: number;
  /** Of one channel, in each direction. */
  readonly kilobitsPerSecond: number;
}

export type ChannelInput =
  | Input
  /** Somebody asks for a channel. It is answered under this name, once. */
  | { readonly is: "channel-asked"; readonly channel: string; readonly user: string };

export type ChannelAction =
  | Action
  | { readonly do: "answer-channel"; readonly channel: string; readonly outcome: OpenChannel | ChannelRefusal };

export interface OpenChannel {
  readonly host: string;
  /** For who asked. Its RTCP port is the next one. */
  readonly localPort: number;
  /** For the other party; likewise. */
  readonly remotePort: number;
}

export type ChannelRefusal = "too-many" | "exhausted";

/** How long a channel may go without a packet (section 10). */
export const idleSeconds = 60;

/** A route ends this often, so that the next packet comes up and shows that there are packets. */
const routeMillis = 20_000;
const portsPerChannel = 4;
/** Pairs whose second port was taken, until we give up. */
const triesAtMost = 8;

/** One of the four: 0 and 1 are for who asked, RTP and RTCP, 2 and 3 for the other party. */
interface Port {
  readonly relay: SocketId;
  readonly at: Endpoint;
  readonly latch: Latch;
}

interface Channel {
  readonly name: string;
  readonly user: string;
  readonly ports: Port[];
  /** The one that is being opened. */
  opening: SocketId | undefined;
  tries: number;
  heardAt: Millis;
}

export class RelayChannels implements Machine<ChannelInput, ChannelAction> {
  readonly #options: RelayChannelsOptions;
  readonly #channels = new Set<Channel>();
  readonly #perUser = new Map<string, number>();
  /** By each port it has, and by the one that it waits for. */
  readonly #byRelay = new Map<SocketId, Channel>();
  readonly #ends = new Calendar<Channel>();
  #isDraining = false;

  constructor(options: RelayChannelsOptions) {
    this.#options = options;
  }

  handle(now: Millis, input: ChannelInput): ChannelAction[] {
    switch (input.is) {
      case "channel-asked":
        return this.#ask(now, input.channel, input.user);
      case "relay-opened":
        return this.#opened(now, input.relay, input.at);
      case "relay-failed":
        return this.#failed(input.relay);
      case "stray":
        return this.#hear(now, input);
      case "ordered":
        return this.#obey(now, input.order);
      case "ticked":
        return this.#ends.due(now).flatMap((channel) => this.#endIfIdle(channel, now));
      default:
        return [];
    }
  }

  #obey(now: Millis, order: Order): ChannelAction[] {
    if (order.order === "drain") this.#isDraining = true;
    if (order.order !== "ban") return [];
    const { whom } = order;
    const isShutOut = ({ latch: { source } }: Port) => source && this.#options.isBanned(source.address, now);
    const isMeant = ({ user, ports }: Channel) => ("user" in whom ? user === whom.user : ports.some(isShutOut));
    return [...this.#channels].filter(isMeant).flatMap((channel) => this.#end(channel));
  }

  #ask(now: Millis, name: string, user: string): ChannelAction[] {
    const { channels, channelsPerUser } = this.#options.limits;
    if (this.#isDraining) return [{ do: "answer-channel", channel: name, outcome: "exhausted" }];
    if (this.#channels.size >= channels || (this.#perUser.get(user) ?? 0) >= channelsPerUser) {
      return [{ do: "answer-channel", channel: name, outcome: "too-many" }];
    }
    const channel: Channel = { name, user, ports: [], opening: undefined, tries: 0, heardAt: now };
    this.#channels.add(channel);
    count(this.#perUser, user, 1);
    this.#ends.file(channel, now + idleSeconds * 1000);
    return this.#openNext(channel);
  }

  #openNext(channel: Channel): ChannelAction[] {
    const { family, newSocketId, limits } = this.#options;
    const relay = newSocketId();
    channel.opening = relay;
    this.#byRelay.set(relay, channel);
    const first = channel.ports.at(-1)?.at;
    const isSecond = channel.ports.length % 2 === 1;
    const bytesPerSecond = (limits.kilobitsPerSecond * 1000) / 8;
    return [
      {
        do: "open-relay",
        relay,
        family,
        via: relay,
        client: { address: family === 4 ? "0.0.0.0" : "::", port: 0 },
        port: isSecond && first ? first.port + 1 : "even",
        limits: [{ bucket: `channel ${channel.name}`, bytesPerSecond }],
        handsUp: true,
      },
    ];
  }

  #opened(now: Millis, relay: SocketId, at: Endpoint): ChannelAction[] {
    const channel = this.#byRelay.get(relay);
    if (!channel) return [];
    channel.opening = undefined;
    channel.ports.push({ relay, at, latch: new Latch() });
    const isPair = channel.ports.length % 2 === 0;
    const first = channel.ports.at(-2)?.at;
    // A plane that finds no even port with the next one free gives another one.
    if (isPair && first?.port !== at.port - 1) return this.#openAnotherPair(channel);
    if (channel.ports.length < portsPerChannel) return this.#openNext(channel);
    channel.heardAt = now;
    this.#ends.file(channel, now + idleSeconds * 1000);
    const [local, , remote] = channel.ports;
    const outcome = { host: at.address, localPort: local?.at.port ?? 0, remotePort: remote?.at.port ?? 0 };
    return [
      { do: "answer-channel", channel: channel.name, outcome },
      { do: "report", fact: { fact: "channel-opened", user: channel.user } },
    ];
  }

  #failed(relay: SocketId): ChannelAction[] {
    const channel = this.#byRelay.get(relay);
    if (!channel) return [];
    this.#byRelay.delete(relay);
    channel.opening = undefined;
    return channel.ports.length % 2 === 1 ? this.#openAnotherPair(channel) : this.#giveUp(channel);
  }

  /** What there is of the last pair is let go of. */
  #openAnotherPair(channel: Channel): ChannelAction[] {
    channel.tries += 1;
    if (channel.tries === triesAtMost) return this.#giveUp(channel);
    const odd = channel.ports.splice(channel.ports.length > 2 ? 2 : 0);
    return [...this.#close(odd), ...this.#openNext(channel)];
  }

  #giveUp(channel: Channel): ChannelAction[] {
    return [...this.#end(channel), { do: "answer-channel", channel: channel.name, outcome: "exhausted" }];
  }

  /** A packet that no route took: of somebody new, or the first one after a route has ended. */
  #hear(now: Millis, { relay, from, bytes }: Extract<Input, { is: "stray" }>): ChannelAction[] {
    const channel = this.#byRelay.get(relay);
    const index = channel?.ports.findIndex((port) => port.relay === relay) ?? -1;
    const port = channel?.ports[index];
    const facing = channel?.ports[(index + 2) % portsPerChannel];
    if (!channel || !port || !facing || channel.ports.length < portsPerChannel) return [];
    if (this.#options.isBanned(from.address, now)) return [];
    const before = port.latch.source;
    if (!port.latch.admits(from, bytes)) return [];
    channel.heardAt = now;
    const to = facing.latch.source;
    if (!to) return [];
    const until = now + routeMillis;
    const legOf = ({ relay: socket }: Port, peer: Endpoint) => ({ socket, peer, framing: "bare", until }) as const;
    const legs = (source: Endpoint) => [legOf(port, source), legOf(facing, to)] as const;
    const former: Action[] = before && before !== port.latch.source ? [{ do: "unroute", legs: legs(before) }] : [];
    return [...former, { do: "route", legs: legs(from) }, { do: "send", via: facing.relay, to, bytes }];
  }

  #endIfIdle(channel: Channel, now: Millis): ChannelAction[] {
    const wasUsed = channel.ports.some(({ latch }) => latch.source);
    const until = channel.heardAt + idleSeconds * 1000 + (wasUsed ? routeMillis : 0);
    if (now >= until) return this.#end(channel);
    this.#ends.file(channel, until);
    return [];
  }

  #end(channel: Channel): ChannelAction[] {
    const { user, ports, opening } = channel;
    const wasOpen = ports.length === portsPerChannel;
    this.#channels.delete(channel);
    this.#ends.strike(channel);
    count(this.#perUser, user, -1);
    if (opening !== undefined) this.#byRelay.delete(opening);
    const actions = this.#close(ports.splice(0));
    return [
      ...(opening === undefined ? [] : [{ do: "close-relay", relay: opening } as const]),
      ...actions,
      ...(wasOpen ? [{ do: "report", fact: { fact: "channel-closed", user } } as const] : []),
    ];
  }

  #close(ports: readonly Port[]): ChannelAction[] {
    for (const { relay } of ports) this.#byRelay.delete(relay);
    return ports.map(({ relay }) => ({ do: "close-relay", relay }));
  }
}
