// What is told of an answer: for logs, metrics and billing.

import type { Fact } from "../contract.ts";
import { Method } from "../stun/methods.ts";
import { userOf } from "./credentials.ts";
import type { Identity, Outcome, Request } from "./request.ts";

/** As the RFCs write them. */
export const methodNames: ReadonlyMap<number, string> = new Map([
  [Method.binding, "Binding"],
  [Method.allocate, "Allocate"],
  [Method.refresh, "Refresh"],
  [Method.createPermission, "CreatePermission"],
  [Method.channelBind, "ChannelBind"],
  [Method.connect, "Connect"],
  [Method.connectionBind, "ConnectionBind"],
]);

/** `identity` is whose request it was, where that was shown. */
export function answered({ message, tuple }: Request, outcome: Outcome, identity: Identity | undefined): Fact {
  const isRefused = "refused" in outcome;
  const sender = identity ?? (isRefused ? outcome.by : undefined);
  const claimed = isRefused ? outcome.claimed : undefined;
  return {
    fact: "answered",
    method: methodNames.get(message.method) ?? "",
    code: isRefused ? outcome.refused : 0,
    transport: tuple.on.transport,
    client: tuple.from,
    user: sender?.credential.user,
    claimed: claimed === undefined ? undefined : userOf(claimed),
  };
}
