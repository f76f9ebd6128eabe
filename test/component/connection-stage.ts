// Connections to a server that is not one, on a clock that is the test's.

import xml, { type Element } from "@xmpp/xml";
import { afterEach, beforeEach, onTestFinished, vi } from "vitest";
import { Connection, type ConnectionFact, type ConnectionOptions } from "../../src/component/connection.ts";
import { resultReply } from "../../src/xmpp/stanza-errors.ts";
import { FakeServer } from "./fake-server.ts";

/** To be called once a file: a server for each of its tests. */
export function serverForEach(): { server: FakeServer } {
  const there = { server: new FakeServer() };
  beforeEach(async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    there.server = new FakeServer();
    await there.server.start();
  });
  afterEach(async () => {
    await there.server.stop();
    vi.useRealTimers();
  });
  return there;
}

/** A connection whose clock is the test's, and what it says. It answers every IQ with an empty result. */
export function connect(server: FakeServer, options: Partial<ConnectionOptions> = {}) {
  const facts: ConnectionFact[] = [];
  const received: Element[] = [];
  const waiting: { state: string; reached: () => void }[] = [];
  const connection = new Connection({
    service: server.service,
    domain: "relay.example.org",
    secret: server.secret,
    server: "example.org",
    receive(stanza) {
      received.push(stanza);
      const isQuestion = stanza.is("iq") && ["get", "set"].includes(stanza.attrs.type);
      return isQuestion ? [resultReply(stanza)] : [];
    },
    report(fact) {
      facts.push(fact);
      if (fact.fact !== "component-state") return;
      for (const { reached } of waiting.filter(({ state }) => state === fact.state)) reached();
    },
    random: () => 0,
    ...options,
  });
  /** Resolves when the connection comes into `state`, or at once if it is there. */
  function comes(state: string): Promise<void> {
    if (connection.state().state === state) return Promise.resolve();
    return new Promise((reached) => waiting.push({ state, reached }));
  }
  connection.start();
  onTestFinished(async () => {
    await server.stop();
    await connection.stop();
  });
  return { connection, facts, received, comes };
}

export async function online(server: FakeServer, options: Partial<ConnectionOptions> = {}) {
  const connected = connect(server, options);
  const stream = await server.accept();
  await connected.comes("online");
  return { ...connected, stream };
}

/** Time passes, and whatever was due in it happens. */
export function pass(seconds: number): void {
  vi.advanceTimersByTime(seconds * 1000);
}

export function message(body: string): Element {
  return xml("message", { to: "alice@example.org" }, xml("body", {}, body));
}

export const version = xml("query", { xmlns: "jabber:iq:version" });
