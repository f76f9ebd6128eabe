// What becomes of a request: what its outcome has done, then the answer, then what is told of it.

import type { Action } from "../contract.ts";
import { answered } from "./answered.ts";
import { reply } from "./reply.ts";
import type { Identity, Outcome, Request } from "./request.ts";
import type { Turn } from "./turn.ts";

/** `identity` is whose request it was, where that was shown. */
export function conclude(request: Request, outcome: Outcome, { abilities }: Turn, identity?: Identity): Action[] {
  if ("postponed" in outcome) return [...outcome.postponed];
  const { tuple } = request;
  const bytes = "replayed" in outcome ? outcome.replayed : reply(request, outcome, identity, abilities.hmac);
  if ("granted" in outcome) outcome.keep?.(bytes);
  const back = { via: tuple.via, to: tuple.from };
  const way = "granted" in outcome ? (outcome.way ?? back) : back;
  return [
    ...("granted" in outcome ? outcome.actions : []),
    { do: "send", via: way.via, to: way.to, bytes },
    { do: "report", fact: answered(request, outcome, identity) },
  ];
}
