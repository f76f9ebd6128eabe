import xml, { type Element } from "@xmpp/xml";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { Connection, type ConnectionFact, type ConnectionOptions } from "../../src/component/connection.ts";
import { Unavailable } from "../../src/contract.ts";
import { resultReply } from "../../src/xmpp/stanza-errors.ts";
import { FakeServer, ping, streamError } from "./fake-server.ts";

let server: FakeServer;

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  server = new FakeServer();
  await server.start();
});

afterEach(async () => {
  await server.stop();
  vi.useRealTimers();
});

/** A connection whose clock is the test's, and what it says. It answers every IQ with an empty result. */
function connect(options: Partial<ConnectionOptions> = {}) {
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

async function online(options: Partial<ConnectionOptions> = {}) {
  const connected = connect(options);
  const stream = await server.accept();
  await connected.comes("online");
  return { ...connected, stream };
}

/** Time passes, and whatever was due in it happens. */
function pass(seconds: number): void {
  vi.advanceTimersByTime(seconds * 1000);
}

function message(body: string): Element {
  return xml("message", { to: "alice@example.org" }, xml("body", {}, body));
}

const version = xml("query", { xmlns: "jabber:iq:version" });

describe("the handshake", () => {
  test("brings the stream up", async () => {
    const { facts } = await online();
    expect(facts).toEqual([
      { fact: "component-state", state: "connecting", reason: "" },
      { fact: "component-state", state: "online", reason: "" },
    ]);
  });

  test("hashes the UTF-8 of a secret, as servers do", async () => {
    await server.stop();
    server = new FakeServer("geheim-文件");
    await server.start();
    const { connection } = await online();
    expect(connection.state().state).toBe("online");
  });

  test("loses no stanza that comes in one piece with it", async () => {
    const { comes, received } = connect();
    const stream = await server.arrival();
    await stream.open();
    await stream.next();
    stream.send(`<handshake/>${ping("early")}`);
    expect((await stream.next()).attrs.id).toBe("early");
    await comes("online");
    expect(received).toHaveLength(1);
  });

  test("that the server does not finish is given up", async () => {
    const { comes, connection } = connect();
    const stream = await server.arrival();
    await stream.open();
    await stream.next();
    pass(15);
    await comes("offline");
    expect(connection.state().reason).toMatch(/in time/);
    await stream.closed;
  });

  test("that is answered by something else is given up", async () => {
    const { comes } = connect();
    const stream = await server.arrival();
    await stream.open();
    await stream.next();
    stream.send("<welcome/>");
    await comes("offline");
  });

  test.each([
    ["nothing", ""],
    ["an end", "</stream:stream>"],
    ["another protocol", "HTTP/1.1 400 Bad Request\r\n\r\n"],
    ["a stream error", "<stream:stream xmlns:stream='http://etherx.jabber.org/streams'><stream:error/>"],
  ])("that begins with %s is given up, and tried again", async (_, answer) => {
    const { comes } = connect();
    const stream = await server.arrival();
    stream.socket.end(answer);
    await comes("offline");
    pass(0.5);
    await server.accept();
    await comes("online");
  });
});

describe("a server that refuses", () => {
  test("a wrong secret is asked again slowly, until it is put right", async () => {
    const { comes, connection, facts } = connect({ secret: "wrong" });
    await server.accept();
    await comes("refused");
    expect(connection.state().reason).toMatch(/not-authorized/);
    expect(facts).toContainEqual({
      fact: "component-refused",
      reason: expect.stringContaining("not-authorized"),
      advice: expect.stringContaining("secret"),
    });
    expect(() => pass(29.9)).not.toThrow();
    expect(server.streams).toHaveLength(1);
    pass(0.1);
    const stream = await server.arrival();
    expect(connection.state().state).toBe("refused");
    await stream.open();
    await stream.next();
    stream.send("<handshake/>");
    await comes("online");
  });

  test.each(["host-unknown", "conflict"])("with %s is told apart from one that is gone", async (condition) => {
    const { comes, connection } = connect();
    const stream = await server.arrival();
    await stream.open();
    await stream.next();
    stream.send(streamError(condition));
    await comes("refused");
    expect(connection.state().reason).toContain(condition);
  });

  test("us later, for another component of our name, is told, too", async () => {
    const { stream, comes } = await online();
    stream.send(streamError("conflict"));
    await comes("refused");
  });

  test("gets nothing that waited, and nothing new waits for it", async () => {
    const { comes, connection } = connect({ secret: "wrong" });
    const waited = connection.send(message("before"));
    const refused = expect(waited).rejects.toThrow(/not-authorized/);
    await server.accept();
    await comes("refused");
    await refused;
    await expect(connection.send(message("after"))).rejects.toBeInstanceOf(Unavailable);
  });

  test("by naming another host is not followed there", async () => {
    const other = new FakeServer();
    await other.start();
    const { stream, comes } = await online();
    const host = other.service.replace("xmpp://", "");
    stream.send(
      `<stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>${host}</see-other-host></stream:error>`,
    );
    await comes("offline");
    pass(0.5);
    await (await server.accept()).settled();
    expect(other.streams).toEqual([]);
    expect(server.streams).toHaveLength(2);
    await other.stop();
  });
});

describe("a lost connection", () => {
  test("is made again, waiting twice as long each time up to a minute", async () => {
    const { comes, connection } = await online();
    await server.stop();
    await comes("offline");
    for (const seconds of [0.5, 1, 2, 4, 8, 16, 30, 30]) {
      pass(seconds - 0.001);
      expect(connection.state().state).toBe("offline");
      pass(0.001);
      expect(connection.state().state).toBe("connecting");
      await comes("offline");
    }
    await server.start();
    pass(30);
    await server.accept();
    await comes("online");
  });

  test("is made again at a random time within the second half of the wait", async () => {
    const { comes, connection } = await online({ random: () => 0.98 });
    await server.stop();
    await comes("offline");
    pass(0.989);
    expect(connection.state().state).toBe("offline");
    pass(0.001);
    expect(connection.state().state).toBe("connecting");
  });

  test("that had held for a while is made again soon", async () => {
    const { comes, stream, connection } = await online();
    stream.socket.destroy();
    await comes("offline");
    pass(0.5);
    const second = await server.accept();
    await comes("online");
    for (let i = 0; i < 2; i += 1) {
      await second.settled();
      pass(60);
    }
    second.socket.destroy();
    await comes("offline");
    pass(0.5);
    expect(connection.state().state).toBe("connecting");
  });

  test("fails the questions that were open", async () => {
    const { connection, stream } = await online();
    const reply = expect(connection.request("example.org", "get", version)).rejects.toThrow(Unavailable);
    await stream.next();
    stream.socket.destroy();
    await reply;
  });
});

describe("what is sent while offline", () => {
  test("waits, and leaves in order", async () => {
    const { connection } = connect();
    const sent = Promise.all([connection.send(message("one")), connection.send(message("two"))]);
    const stream = await server.accept();
    expect([await stream.next(), await stream.next()].map((element) => element.getChildText("body"))).toEqual([
      "one",
      "two",
    ]);
    await sent;
  });

  test("fails beyond the bound, and with a type", async () => {
    const { connection } = connect({ limits: { queued: 2 } });
    const waits = [connection.send(message("one")), connection.send(message("two"))];
    await expect(connection.send(message("three"))).rejects.toBeInstanceOf(Unavailable);
    const stopped = Promise.allSettled(waits);
    await connection.stop();
    expect((await stopped).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  });

  test("is not sent any more when nobody waits for the reply", async () => {
    const { connection } = connect();
    const late = expect(connection.request("example.org", "get", version, 5)).rejects.toThrow(/within 5 s/);
    const waits = connection.send(message("still wanted"));
    pass(5);
    await late;
    const stream = await server.accept();
    expect((await stream.next()).getChildText("body")).toBe("still wanted");
    await waits;
  });
});

describe("a question", () => {
  test("is answered by whom it was put to, and by nobody else", async () => {
    const { connection, received, stream } = await online();
    const asked = connection.request("example.org", "get", version);
    const { id } = (await stream.next()).attrs;
    const reply = (from: string, name: string) =>
      `<iq type='result' id='${id}' ${from} to='relay.example.org'><name>${name}</name></iq>`;
    stream.send(reply("from='mallory@elsewhere.example/x'", "spoofed"));
    stream.send(reply("from='example.org/x'", "spoofed"));
    stream.send(reply("", "spoofed"));
    stream.send(reply("from='example.org'", "true"));
    expect((await asked).getChildText("name")).toBe("true");
    expect(received.map((stanza) => stanza.getChildText("name"))).toEqual(["spoofed", "spoofed", "spoofed"]);
  });

  test("is answered by an error, too", async () => {
    const { connection, stream } = await online();
    const asked = connection.request("example.org", "get", version);
    const { id } = (await stream.next()).attrs;
    stream.send(`<iq type='error' id='${id}' from='example.org' to='relay.example.org'><error type='cancel'/></iq>`);
    expect((await asked).attrs.type).toBe("error");
  });

  test("has an id of 122 random bits", async () => {
    const { connection, stream } = await online();
    const asked = [1, 2, 3].map(() => connection.request("example.org", "get", version));
    const ended = Promise.allSettled(asked);
    const ids = [];
    for (let i = 0; i < 3; i += 1) ids.push((await stream.next()).attrs.id);
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(new Set(ids).size).toBe(3);
    stream.socket.destroy();
    await ended;
  });

  test("that nobody answers fails in time", async () => {
    const { connection, stream } = await online();
    const asked = expect(connection.request("example.org", "get", version, 5)).rejects.toThrow(/within 5 s/);
    await stream.next();
    pass(5);
    await asked;
  });
});

describe("what arrives", () => {
  test("may be cut at every byte", async () => {
    const { received, stream } = await online();
    const text =
      "<message from='文件@example.org' to='relay.example.org'><body>文件 &#x6587;🙂 &amp; é</body></message>";
    const bytes = Buffer.from(text);
    for (let cut = 1; cut < bytes.length; cut += 1) {
      // One chunk with a whole stanza before the cut: when that is answered, what follows it has been read.
      stream.send(Buffer.concat([Buffer.from(ping(String(cut))), bytes.subarray(0, cut)]));
      expect((await stream.next()).attrs.id).toBe(String(cut));
      stream.send(bytes.subarray(cut));
      await stream.settled();
      const stanza = received.find((stanza) => stanza.is("message"));
      expect(stanza?.attrs.from).toBe("文件@example.org");
      expect(stanza?.getChildText("body")).toBe("文件 文🙂 & é");
      received.length = 0;
    }
  });

  test.each([
    ["large", `<x xmlns='urn:example:x'>${"x".repeat(600 * 1024)}</x>`],
    ["large in its attributes", `<x xmlns='urn:example:x' x='${"x".repeat(600 * 1024)}'/>`],
    ["rich in elements", `<x xmlns='urn:example:x'>${"<element/>".repeat(80 * 1024)}</x>`],
    ["deep", `${"<x>".repeat(5000)}${"</x>".repeat(5000)}`],
  ])("too %s is refused, and does no harm to what follows", async (_, payload) => {
    const { facts, received, stream } = await online();
    const envelope = "from='alice@example.org/phone' to='relay.example.org'";
    stream.send(`<iq type='get' id='big' ${envelope}>${payload}</iq>`);
    const reply = await stream.next();
    expect(reply.attrs).toMatchObject({ type: "error", id: "big", to: "alice@example.org/phone" });
    expect(reply.getChild("error")?.getChild("policy-violation")).toBeDefined();
    stream.send(`<iq type='result' id='big' ${envelope}>${payload}</iq><message ${envelope}>${payload}</message>`);
    await stream.settled();
    expect(received).toHaveLength(1);
    expect(facts.filter(({ fact }) => fact === "stanza-dropped")).toHaveLength(3);
  });

  test("too large and from nobody, or to nobody, is not answered: the server would hang up on us", async () => {
    const { facts, stream } = await online({ limits: { characters: 1024 } });
    for (const envelope of ["from='alice@example.org/x'", "to='relay.example.org'"]) {
      stream.send(`<iq type='get' id='big' ${envelope}><x>${"x".repeat(2048)}</x></iq>`);
    }
    await stream.settled();
    expect(facts.filter(({ fact }) => fact === "stanza-dropped")).toHaveLength(2);
  });

  test("without end is not kept without end", async () => {
    const { comes, stream } = await online({ limits: { characters: 1024 } });
    stream.send(`<message x='${"x".repeat(17 * 1024)}`);
    await comes("offline");
  });

  test.each([
    ["not well-formed", "<iq></message>", ""],
    ["an entity of one's own", "<message>&evil;</message>", ""],
    ["a forbidden character", "<message>&#0;</message>", ""],
    ["an end of nothing", "</stream:stream></stream:stream></x>", "<message/>"],
    ["an end, and then more", "</stream:stream>", "<message/>"],
    ["a stream error without a condition", "<stream:error/>", "<message/>"],
  ])("broken (%s) ends the stream, and a new one is made", async (_, first, then) => {
    const { comes, received, stream } = await online();
    stream.send(first);
    stream.send(then);
    await comes("offline");
    pass(0.5);
    await server.accept();
    await comes("online");
    expect(received).toEqual([]);
  });

  test("as whitespace keeps the stream alive and leaves nothing behind", async () => {
    const { connection, stream } = await online();
    for (let i = 0; i < 100; i += 1) stream.send(" \n");
    await stream.settled();
    expect(connection.state().state).toBe("online");
  });
});

describe("a silent server", () => {
  test.each(["result", "error"])("is pinged, and lives when it answers with a %s", async (type) => {
    const { connection, stream } = await online();
    pass(60);
    const question = await stream.next();
    expect(question.attrs).toMatchObject({ type: "get", to: "example.org" });
    expect(question.getChild("ping", "urn:xmpp:ping")).toBeDefined();
    stream.send(`<iq type='${type}' id='${question.attrs.id}' from='example.org' to='relay.example.org'/>`);
    await stream.settled();
    pass(59);
    expect(connection.state().state).toBe("online");
  });

  test("is not pinged while it talks", async () => {
    const { stream } = await online();
    for (let i = 0; i < 5; i += 1) {
      await stream.settled();
      pass(60);
    }
    await stream.settled();
  });

  test("that does not answer is dead, and left for a new connection", async () => {
    const { comes, connection, stream } = await online();
    pass(60);
    for (let asked = 0; asked < 10; asked += 1) {
      expect(connection.state().state).toBe("online");
      await stream.next();
      pass(2);
    }
    await comes("offline");
    expect(connection.state().reason).toMatch(/ping/);
    await stream.closed;
  });

  test("that gives the answer to another connection of our name is asked again, and anything that it says will do", async () => {
    const { connection, stream } = await online();
    pass(60);
    await stream.next();
    pass(2);
    const { id } = (await stream.next()).attrs;
    stream.send("<iq type='result' id='asked-by-another' from='example.org' to='relay.example.org'/>");
    await stream.settled();
    stream.send(`<iq type='result' id='${id}' from='example.org' to='relay.example.org'/>`);
    await stream.settled();
    pass(59);
    expect(connection.state().state).toBe("online");
  });

  test("that does not read is left, too", async () => {
    const { comes, connection, stream } = await online({ limits: { unsent: 1024 } });
    stream.socket.pause();
    const large = message("x".repeat(1 << 24));
    const sent = Promise.allSettled([connection.send(large), connection.send(message("after"))]);
    await comes("offline");
    expect((await sent).map(({ status }) => status)).toContain("rejected");
    expect(connection.state().reason).toMatch(/does not read/);
  });
});

describe("stopping", () => {
  test("closes the stream and waits for the server to close its own", async () => {
    const { connection, stream } = await online();
    const stopped = connection.stop();
    await stream.farewell;
    stream.send("</stream:stream>");
    await stopped;
    await stream.closed;
    expect(connection.state()).toEqual({ state: "offline", reason: "stopped" });
    await expect(connection.send(message("late"))).rejects.toBeInstanceOf(Unavailable);
  });

  test("does not wait for a server that does not", async () => {
    const { connection, stream } = await online();
    const stopped = connection.stop();
    await stream.farewell;
    pass(2);
    await stopped;
  });

  test("ends an attempt, and the wait for the next one", async () => {
    const attempt = connect();
    await server.arrival();
    await attempt.connection.stop();

    const { comes, connection } = await online();
    await server.stop();
    await comes("offline");
    await connection.stop();
    expect(connection.state().reason).toBe("stopped");
    expect(vi.getTimerCount()).toBe(0);
  });
});
