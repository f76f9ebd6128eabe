// Commands for every user, about nobody but himself.

import type { Command } from "../command.ts";
import type { Jid } from "../jid.ts";
import { writeLines } from "../xep0004-data-forms.ts";
import { conclusion, eventText } from "./explanations.ts";
import type { Operations } from "./operations.ts";
import { bytesText, durationText } from "./words.ts";

export interface AboutOneself {
  readonly mayAsk: (asker: Jid) => boolean;
  readonly userOf: (jid: Jid) => string;
  readonly operations: Operations;
}

export function lastCall({ mayAsk, userOf, operations }: AboutOneself): Command {
  return {
    node: "last-call",
    name: "Why did my last call fail?",
    mayRun: mayAsk,
    next(_, { jid, now }) {
      const history = operations.history(userOf(jid));
      const credentials = history.credentials;
      const ago = (at: number) => `${durationText(now - at)} ago`;
      const lines = [
        ...[...history.events].reverse().map((event) => [ago(event.at), eventText(event)] as const),
        ...(credentials ? [[ago(credentials.at), "your client was given credentials"] as const] : []),
      ];
      const done = conclusion(history, now);
      return lines.length > 0 ? { done, result: writeLines("What the relay knows of your calls", lines) } : { done };
    },
  };
}

export function ownRelays({ mayAsk, userOf, operations }: AboutOneself): Command {
  return {
    node: "my-relays",
    name: "Which relays do I use now?",
    mayRun: mayAsk,
    next(_, { jid, now }) {
      const user = userOf(jid);
      const isOwn = (each: { readonly user: string }) => each.user === user;
      const relays = operations
        .allocations()
        .filter(isOwn)
        .map(({ id, transport, since, usage }) => {
          const { toPeer, toClient } = usage;
          const carried = `${bytesText(toPeer.bytes)} sent, ${bytesText(toClient.bytes)} received`;
          return [`Relay ${id}`, `over ${transport}, for ${durationText(now - since)}; ${carried}`] as const;
        });
      const transfers = operations
        .transfers()
        .filter(isOwn)
        .map(({ since, bytes }) => ["File", `for ${durationText(now - since)}; ${bytesText(bytes)} so far`] as const);
      const lines = [...relays, ...transfers];
      if (lines.length === 0) return { done: "None." };
      return { done: `${lines.length} in use.`, result: writeLines("Relays that you use", lines) };
    },
  };
}
