// The stream to the XMPP server: how it comes up, is refused, lost, found dead and closed.

import { describe, expect, test, vi } from "vitest";
import { Unavailable } from "../../src/contract.ts";
import { connect, message, online, pass, serverForEach, version } from "./connection-stage.ts";
import { FakeServer, ping, streamError } from "./fake-server.ts";

const there = serverForEach();

describe("the handshake", () => {
  test("brings the stream up", async () => {
    const { facts } = await online(there.server);
    expect(facts).toEqual([
      { fact: "component-state", state: "connecting", reason: "" },
      { fact: "component-state", state: "online", reason: "" },
    ]);
  });

  test("hashes the UTF-8 of a secret, as servers do", async () => {
    await there.server.stop();
    there.server = new FakeServer("geheim-文件");
    await there.server.start();
    const { connection } = await online(there.server);
    expect(connection.state().state).toBe("online");
  });

  test("loses no stanza that comes in one piece with it", async () => {
    const { comes, received } = connect(there.server);
    const stream = await there.server.arrival();
    await stream.open();
    await stream.next();
    stream.send(`<handshake/>${ping("early")}`);
    expect((await stream.next()).attrs.id).toBe("early");
    await comes("online");
    expect(received).toHaveLength(1);
  });

  test("that the server does not finish is given up", async () => {
    const { comes, connection } = connect(there.server);
    const stream = await there.server.arrival();
    await stream.open();
    await stream.next();
    pass(15);
    await comes("offline");
    expect(connection.state().reason).toMatch(/in time/);
    await stream.closed;
  });

  test("that is answered by something else is given up", async () => {
    const { comes } = connect(there.server);
    const stream = await there.server.arrival();
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
    const { comes } = connect(there.server);
    const stream = await there.server.arrival();
    stream.socket.end(answer);
    await comes("offline");
    pass(0.5);
    await there.server.accept();
    await comes("online");
  });
});

describe("a server that refuses", () => {
  test("a wrong secret is asked again slowly, until it is put right", async () => {
    const { comes, connection, facts } = connect(there.server, { secret: "wrong" });
    await there.server.accept();
    await comes("refused");
    expect(connection.state().reason).toMatch(/not-authorized/);
    expect(facts).toContainEqual({
      fact: "component-refused",
      reason: expect.stringContaining("not-authorized"),
      advice: expect.stringContaining("secret"),
    });
    expect(() => pass(29.9)).not.toThrow();
    expect(there.server.streams).toHaveLength(1);
    pass(0.1);
    const stream = await there.server.arrival();
    expect(connection.state().state).toBe("refused");
    await stream.open();
    await stream.next();
    stream.send("<handshake/>");
    await comes("online");
  });

  test.each(["host-unknown", "conflict"])("with %s is told apart from one that is gone", async (condition) => {
    const { comes, connection } = connect(there.server);
    const stream = await there.server.arrival();
    await stream.open();
    await stream.next();
    stream.send(streamError(condition));
    await comes("refused");
    expect(connection.state().reason).toContain(condition);
  });

  test("us later, for another component of our name, is told, too", async () => {
    const { stream, comes } = await online(there.server);
    stream.send(streamError("conflict"));
    await comes("refused");
  });

  test("gets nothing that waited, and nothing new waits for it", async () => {
    const { comes, connection } = connect(there.server, { secret: "wrong" });
    const waited = connection.send(message("before"));
    const refused = expect(waited).rejects.toThrow(/not-authorized/);
    await there.server.accept();
    await comes("refused");
    await refused;
    await expect(connection.send(message("after"))).rejects.toBeInstanceOf(Unavailable);
  });

  test("by naming another host is not followed there", async () => {
    const other = new FakeServer();
    await other.start();
    const { stream, comes } = await online(there.server);
    const host = other.service.replace("xmpp://", "");
    stream.send(
      `<stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>${host}</see-other-host></stream:error>`,
    );
    await comes("offline");
    pass(0.5);
    await (await there.server.accept()).settled();
    expect(other.streams).toEqual([]);
    expect(there.server.streams).toHaveLength(2);
    await other.stop();
  });
});

describe("a lost connection", () => {
  test("is made again, waiting twice as long each time up to a minute", async () => {
    const { comes, connection } = await online(there.server);
    await there.server.stop();
    await comes("offline");
    for (const seconds of [0.5, 1, 2, 4, 8, 16, 30, 30]) {
      pass(seconds - 0.001);
      expect(connection.state().state).toBe("offline");
      pass(0.001);
      expect(connection.state().state).toBe("connecting");
      await comes("offline");
    }
    await there.server.start();
    pass(30);
    await there.server.accept();
    await comes("online");
  });

  test("is made again at a random time within the second half of the wait", async () => {
    const { comes, connection } = await online(there.server, { random: () => 0.98 });
    await there.server.stop();
    await comes("offline");
    pass(0.989);
    expect(connection.state().state).toBe("offline");
    pass(0.001);
    expect(connection.state().state).toBe("connecting");
  });

  test("that had held for a while is made again soon", async () => {
    const { comes, stream, connection } = await online(there.server);
    stream.socket.destroy();
    await comes("offline");
    pass(0.5);
    const second = await there.server.accept();
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
    const { connection, stream } = await online(there.server);
    const reply = expect(connection.request("example.org", "get", version)).rejects.toThrow(Unavailable);
    await stream.next();
    stream.socket.destroy();
    await reply;
  });
});

describe("a silent server", () => {
  test.each(["result", "error"])("is pinged, and lives when it answers with a %s", async (type) => {
    const { connection, stream } = await online(there.server);
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
    const { stream } = await online(there.server);
    for (let i = 0; i < 5; i += 1) {
      await stream.settled();
      pass(60);
    }
    await stream.settled();
  });

  test("that does not answer is dead, and left for a new connection", async () => {
    const { comes, connection, stream } = await online(there.server);
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
    const { connection, stream } = await online(there.server);
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
    const { comes, connection, stream } = await online(there.server, { limits: { unsent: 1024 } });
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
    const { connection, stream } = await online(there.server);
    const stopped = connection.stop();
    await stream.farewell;
    stream.send("</stream:stream>");
    await stopped;
    await stream.closed;
    expect(connection.state()).toEqual({ state: "offline", reason: "stopped" });
    await expect(connection.send(message("late"))).rejects.toBeInstanceOf(Unavailable);
  });

  test("does not wait for a server that does not", async () => {
    const { connection, stream } = await online(there.server);
    const stopped = connection.stop();
    await stream.farewell;
    pass(2);
    await stopped;
  });

  test("ends an attempt, and the wait for the next one", async () => {
    const attempt = connect(there.server);
    await there.server.arrival();
    await attempt.connection.stop();

    const { comes, connection } = await online(there.server);
    await there.server.stop();
    await comes("offline");
    await connection.stop();
    expect(connection.state().reason).toBe("stopped");
    expect(vi.getTimerCount()).toBe(0);
  });
});
