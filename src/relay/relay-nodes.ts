// The channels of XEP-0278: their machine with a loop of its own, over the plane that TURN has, too.

import { randomBytes } from "node:crypto";
import type { Action, Input, Millis, Order } from "../contract.ts";
import { Loop } from "../dataplane/loop.ts";
import {
  type ChannelAction,
  type ChannelInput,
  idleSeconds,
  RelayChannels,
  type RelayChannelsOptions,
} from "../jingle/relay-channels.ts";
import type { RelayNodes } from "../xmpp/xep0278-relay-nodes.ts";

export interface RelayNodesOptions extends RelayChannelsOptions {
  readonly now: () => Millis;
  readonly perform: (action: Action) => void;
  readonly fault: (error: unknown) => void;
}

type Answered = Parameters<RelayNodes["open"]>[1];

export class ChannelDesk {
  readonly #loop: Loop<ChannelInput, ChannelAction>;
  readonly #limits: RelayNodesOptions["limits"];
  /** By channel: who waits for it. As many as there are channels, at most. */
  readonly #waiting = new Map<string, Answered>();

  constructor({ limits, perform, now, fault, ...options }: RelayNodesOptions) {
    this.#limits = limits;
    this.#loop = new Loop({
      machine: new RelayChannels({ ...options, limits }),
      now,
      fault,
      perform: (action) => (action.do === "answer-channel" ? this.#answer(action) : perform(action)),
    });
  }

  readonly open: RelayNodes["open"] = (user, answered) => {
    const channel = randomBytes(12).toString("hex");
    this.#waiting.set(channel, answered);
    this.#loop.hand({ is: "channel-asked", channel, user });
  };

  /** What a plane has to say about relay ports, ours or not. */
  hand(input: Input): void {
    if (input.is === "stray" || input.is === "relay-opened" || input.is === "relay-failed") this.#loop.hand(input);
  }

  order(order: Order): void {
    this.#loop.hand({ is: "ordered", order });
  }

  stop(): void {
    this.#loop.stop();
    this.#waiting.clear();
  }

  #answer({ channel, outcome }: Extract<ChannelAction, { do: "answer-channel" }>): void {
    const answered = this.#waiting.get(channel);
    this.#waiting.delete(channel);
    const { kilobitsPerSecond } = this.#limits;
    answered?.(typeof outcome === "string" ? outcome : { id: channel, ...outcome, kilobitsPerSecond, idleSeconds });
  }
}
