// The TURN server as a machine: finds out what came, who sent it, and whether that is answered (RFC 8656 section 5). What
// the answer is, decide.ts says.

import type { Action, Input, Machine, Millis, Order, SocketId } from "../contract.ts";
import { brokenList, decode } from "../stun/message.ts";
import { Method } from "../stun/methods.ts";
import { AccessTokens } from "./access-tokens.ts";
import { methodNames } from "./answered.ts";
import type { Bans } from "./bans.ts";
import { conclude } from "./conclude.ts";
import { decide } from "./decide.ts";
import { DelegatedChallenges } from "./delegated-challenges.ts";
import { Guesses } from "./guesses.ts";
import { LongTermMechanism } from "./long-term-mechanism.ts";
import { hungUp, settle } from "./moving.ts";
import { Nonces } from "./nonce.ts";
import { relayFailed, relayOpened } from "./opening.ts";
import { type AllocationView, obey, viewOf } from "./orders.ts";
import { defaultReplyRate, ReplyBudget } from "./reply-budget.ts";
import { type AuthenticRequest, fiveTuple, isOnStream, type Outcome, type Request, refuse } from "./request.ts";
import { redirectionOfStranger } from "./requests/allocate.ts";
import { binding } from "./requests/binding.ts";
import { channelData } from "./requests/channel-data.ts";
import { giveUp, peerArrived, peerConnected, peerFailed } from "./requests/connect.ts";
import { icmp } from "./requests/icmp.ts";
import { natDiscovery, type Square, viewsOf } from "./requests/nat-discovery.ts";
import { send } from "./requests/send.ts";
import type { Turn } from "./turn.ts";
import { type TurnOptions, turnOf } from "./turn-options.ts";

/** A header and REQUESTED-TRANSPORT. */
const smallestAllocateBytes = 28;

type Datagram = Extract<Input, { is: "datagram" }>;

/** Of which a request is answered; what is of another method is discarded (RFC 8489 section 6.3). */
const stunMethods: ReadonlySet<number> = new Set([Method.binding]);
const streamMethods: ReadonlySet<number> = new Set([Method.connect, Method.connectionBind]);
const turnMethods: ReadonlySet<number> = new Set(
  [...methodNames.keys()].filter((method) => !streamMethods.has(method)),
);

export class TurnServer implements Machine {
  readonly #turn: Turn;
  readonly #views: ReadonlyMap<SocketId, Square>;
  readonly #mechanism: LongTermMechanism;
  readonly #replies: ReplyBudget;
  readonly #delegated: DelegatedChallenges;
  readonly #methods: ReadonlySet<number>;

  constructor(options: TurnOptions) {
    const { nonceSecret, squares = [], replyRate = defaultReplyRate, relays = true } = options;
    this.#turn = turnOf(options);
    const { abilities, relaysTcp } = this.#turn;
    this.#methods = relays ? new Set([...turnMethods, ...(relaysTcp ? streamMethods : [])]) : stunMethods;
    this.#views = new Map(squares.flatMap(viewsOf));
    this.#mechanism = mechanismOf(options, this.#turn);
    this.#replies = new ReplyBudget(replyRate, nonceSecret);
    const isDelegated = relays && abilities.challenges === true;
    this.#delegated = new DelegatedChallenges(isDelegated ? this.#mechanism.challengeFor(nonceSecret) : undefined);
  }

  /** Those that are open. */
  allocations(): AllocationView[] {
    return this.#turn.allocations.all.filter(({ isOpen }) => isOpen).map(viewOf);
  }

  get bans(): Pick<Bans, "list" | "holdsClient"> {
    return this.#turn.bans;
  }

  handle(now: Millis, input: Input): Action[] {
    switch (input.is) {
      case "datagram":
        return this.#receive(now, input);
      case "relay-opened":
        return relayOpened(now, input, this.#turn);
      case "relay-failed":
        return relayFailed(now, input, this.#turn);
      case "peer-connected":
        return peerConnected(now, input, this.#turn);
      case "peer-failed":
        return peerFailed(input, this.#turn);
      case "peer-arrived":
        return peerArrived(now, input, this.#turn);
      case "icmp":
        return icmp(now, input, this.#turn);
      case "hung-up":
        return this.#hungUp(now, input.via);
      case "stray":
      case "parted":
        return [];
      case "ordered":
        return this.#obey(now, input.order);
      case "ticked":
        return [...this.#delegate(now), ...this.#endWhatIsDue(now)];
    }
  }

  #receive(now: Millis, { on, via, from, bytes }: Datagram): Action[] {
    if (this.#turn.bans.holdsClient(from.address, now)) return [];
    const message = decode(bytes);
    const tuple = fiveTuple(on, via, from);
    if (!message) return channelData(now, tuple, bytes, this.#turn);
    const request = { now, tuple, message, bytes };
    if (message.class === "request") return this.#answer(request);
    return message.class === "indication" && message.method === Method.send ? send(request, this.#turn) : [];
  }

  #answer(request: Request): Action[] {
    const { bytes, message } = request;
    const { method } = message;
    if (!this.#methods.has(method)) return this.#answerUnknown(request);
    if (message.malformed.includes(brokenList)) return this.#answerStranger(request, refuse(400));
    if (method === Method.binding) return this.#answerStranger(request, this.#bind(request));

    // Nothing can come of so little, and a challenge would be three times its size.
    if (bytes.length < smallestAllocateBytes) return this.#answerStranger(request, refuse(400));
    const elsewhere = redirectionOfStranger(request, this.#turn);
    if (elsewhere) return this.#answerStranger(request, elsewhere);
    const identity = this.#mechanism.identify(request);
    if ("postponed" in identity) return [...identity.postponed];
    if ("refused" in identity) return this.#answerStranger(request, identity);

    const expired = this.#endIfExpired(request);
    // Key by key: an object that is spread into another gets a shape of its own each time, which nothing can be quick with.
    const authentic = { now: request.now, tuple: request.tuple, message, bytes, identity };
    const arrived = this.#welcome(authentic);
    return [...expired, ...arrived, ...conclude(request, decide(authentic, this.#turn), this.#turn, identity)];
  }

  /** It is discarded (RFC 8489 section 6.3); but planes read nothing behind a ConnectionBind before that is answered. */
  #answerUnknown(request: Request): Action[] {
    const isAwaited = request.message.method === Method.connectionBind && isOnStream(request.tuple);
    return isAwaited ? this.#answerStranger(request, refuse(400)) : [];
  }

  /** Over a stream nobody asks in another's name, so nothing is counted there. */
  #answerStranger(request: Request, outcome: Outcome): Action[] {
    const { now, tuple, message } = request;
    const isOwed = tuple.on.transport !== "udp" || this.#comesFromOwner(request, outcome);
    if (isOwed || this.#replies.admits(tuple.from.address, now)) return conclude(request, outcome, this.#turn);
    const method = methodNames.get(message.method) ?? "";
    return [{ do: "report", fact: { fact: "unanswered", method, client: tuple.from } }];
  }

  /** Who has an allocation here and an old nonce needs a new one, or loses it. */
  #comesFromOwner({ tuple }: Request, outcome: Outcome): boolean {
    const by = "refused" in outcome ? outcome.by : undefined;
    return by !== undefined && this.#turn.allocations.find(tuple)?.username === by.username;
  }

  #bind(request: Request): Outcome {
    const view = this.#views.get(request.tuple.on.socket);
    return view ? natDiscovery(request, view) : binding(request);
  }

  /** A client that shows a ticket again has not heard our answer to it, so it stays where it was. */
  #welcome({ now, tuple, message, identity }: AuthenticRequest): Action[] {
    const { allocations } = this.#turn;
    const allocation = allocations.find(tuple);
    const isAsking = message.method === Method.refresh && message.attributes.mobilityTicket !== undefined;
    if (isAsking || allocation?.username !== identity.username) return [];
    return settle(allocation, tuple, now, allocations);
  }

  #endIfExpired({ now, tuple }: Request): Action[] {
    const allocation = this.#turn.allocations.find(tuple);
    return allocation ? this.#turn.allocations.expire(allocation, now) : [];
  }

  #obey(now: Millis, order: Order): Action[] {
    const actions = obey(now, order, this.#turn);
    return [...this.#delegate(now), ...actions];
  }

  #delegate(now: Millis): Action[] {
    const { alternates, bans } = this.#turn;
    return this.#delegated.revise(!alternates.exist && !bans.holdNetworks(now));
  }

  #endWhatIsDue(now: Millis): Action[] {
    const { allocations, reservations, connections } = this.#turn;
    return [
      ...allocations.due(now).flatMap((allocation) => allocations.expire(allocation, now)),
      ...reservations.due(now).map(({ relay }) => ({ do: "close-relay", relay }) as const),
      ...connections.due(now).flatMap((connection) => giveUp(connection, this.#turn)),
    ];
  }

  #hungUp(now: Millis, via: SocketId): Action[] {
    const { allocations, connections } = this.#turn;
    const connection = connections.findByPeer(via);
    if (connection) connections.remove(connection);
    return hungUp(via, now, allocations);
  }
}

function mechanismOf(options: TurnOptions, { allocations, abilities: { hmac } }: Turn): LongTermMechanism {
  const { realm, authenticate, usernameOf, mustAsk = () => false, accessTokens } = options;
  const { nonceSecret, nonceLifetimeSeconds = 600 } = options;
  return new LongTermMechanism({
    realm,
    nonces: new Nonces(nonceSecret, realm, nonceLifetimeSeconds, hmac),
    authenticate,
    usernameOf,
    mustAsk,
    hmac,
    tokens: accessTokens && new AccessTokens(accessTokens),
    sessionAt: (tuple) => allocations.find(tuple)?.session,
    ownerAt: (tuple) => allocations.find(tuple)?.username,
    guesses: new Guesses(nonceSecret),
  });
}
