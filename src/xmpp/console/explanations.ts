// What an event of a call means, for the user it happened to.

import type { Usage } from "../../contract.ts";
import type { CallEvent, CallHistory, Refused, Relayed } from "./call-histories.ts";
import { durationText } from "./words.ts";

const refusals: Readonly<Record<number, string>> = {
  400: "the request made no sense to the relay: the client may be at fault",
  401: "the credentials were wrong or had expired",
  403: "it is forbidden: your account or your network is shut out for a while",
  420: "the client asked for something that the relay does not know",
  437: "there was no such relay any more, or another one in its place",
  440: "the relay has no address of that kind (IPv4 or IPv6)",
  441: "the credentials were not those that the relay port was made with",
  442: "the client asked for a transport that the relay does not have",
  486: "you have as many relay ports as you may have at once: close other calls, or wait ten minutes",
  508: "the relay had no port or place left: try again later",
};

const forbiddenPeer =
  "the address of the other side is not one that the relay may send to, such as one of a private network";

/** Of a method that names a peer, so that 403 is about the peer. */
const aboutPeers: readonly string[] = ["CreatePermission", "ChannelBind", "Connect"];

export function eventText(event: CallEvent): string {
  return event.is === "refused" ? refusalText(event) : relayedText(event);
}

/** In one sentence: what stood in the way last. */
export function conclusion({ credentials, events }: CallHistory, now: number): string {
  const last = events.at(-1);
  if (last?.is === "refused" && last.code === 401 && credentials && credentials.until <= now) {
    return `Your credentials expired ${durationText(now - credentials.until)} ago, and the client did not fetch others: reconnect it.`;
  }
  if (last) return `Last: ${eventText(last)}.`;
  if (!credentials) {
    return "The relay has not heard of you: no client of yours has asked your server for relays, or it asked somewhere else.";
  }
  return "A client of yours fetched credentials and never came with them: the call needed no relay, or your network does not let it reach one.";
}

function refusalText({ method, code, times }: Refused): string {
  const isPeer = code === 403 && aboutPeers.includes(method);
  const why = isPeer ? forbiddenPeer : (refusals[code] ?? "the relay could not do it");
  return `${method} was refused${times > 1 ? ` ${times} times` : ""} (${code}): ${why}`;
}

function relayedText({ at, transport, ended, usage }: Relayed): string {
  if (!ended) return `a relay port was opened over ${transport} and is still open`;
  const carried = usage ? `; ${usageText(usage)}` : "";
  return `a relay port was opened over ${transport}, and ${endText(ended.why)} after ${durationText(ended.at - at)}${carried}`;
}

function endText(why: NonNullable<Relayed["ended"]>["why"]): string {
  switch (why) {
    case "deleted":
      return "closed by your client";
    case "expired":
      return "not refreshed by your client, and so ended";
    case "hung-up":
      return "lost with the connection of your client";
    case "ordered":
      return "closed by an administrator";
  }
}

function usageText({ toPeer, toClient }: Usage): string {
  const [sent, received] = [toPeer.packets, toClient.packets];
  if (sent === 0 && received === 0) return "nothing went through it: the call took another way, or found none";
  if (received === 0) return `your side sent ${sent} packets, and nothing came back from the other side`;
  if (sent === 0) return `the other side sent ${received} packets, and your side nothing`;
  return `${sent} packets went out and ${received} came in`;
}
