// What goes over the stream to the XMPP server: stanzas of ours, questions with their answers, and whatever arrives.

import { describe, expect, test } from "vitest";
import { Unavailable } from "../../src/contract.ts";
import { connect, message, online, pass, serverForEach, version } from "./connection-stage.ts";
import { ping } from "./fake-server.ts";

const there = serverForEach();

describe("what is sent while offline", () => {
  test("waits, and leaves in order", async () => {
    const { connection } = connect(there.server);
    const sent = Promise.all([connection.send(message("one")), connection.send(message("two"))]);
    const stream = await there.server.accept();
    expect([await stream.next(), await stream.next()].map((element) => element.getChildText("body"))).toEqual([
      "one",
      "two",
    ]);
    await sent;
  });

  test("fails beyond the bound, and with a type", async () => {
    const { connection } = connect(there.server, { limits: { queued: 2 } });
    const waits = [connection.send(message("one")), connection.send(message("two"))];
    await expect(connection.send(message("three"))).rejects.toBeInstanceOf(Unavailable);
    const stopped = Promise.allSettled(waits);
    await connection.stop();
    expect((await stopped).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  });

  test("is not sent any more when nobody waits for the reply", async () => {
    const { connection } = connect(there.server);
    const late = expect(connection.request("example.org", "get", version, 5)).rejects.toThrow(/within 5 s/);
    const waits = connection.send(message("still wanted"));
    pass(5);
    await late;
    const stream = await there.server.accept();
    expect((await stream.next()).getChildText("body")).toBe("still wanted");
    await waits;
  });
});

describe("a question", () => {
  test("is answered by whom it was put to, and by nobody else", async () => {
    const { connection, received, stream } = await online(there.server);
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
    const { connection, stream } = await online(there.server);
    const asked = connection.request("example.org", "get", version);
    const { id } = (await stream.next()).attrs;
    stream.send(`<iq type='error' id='${id}' from='example.org' to='relay.example.org'><error type='cancel'/></iq>`);
    expect((await asked).attrs.type).toBe("error");
  });

  test("has an id of 122 random bits", async () => {
    const { connection, stream } = await online(there.server);
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
    const { connection, stream } = await online(there.server);
    const asked = expect(connection.request("example.org", "get", version, 5)).rejects.toThrow(/within 5 s/);
    await stream.next();
    pass(5);
    await asked;
  });
});

describe("what arrives", () => {
  test("may be cut at every byte", async () => {
    const { received, stream } = await online(there.server);
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
    const { facts, received, stream } = await online(there.server);
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
    const { facts, stream } = await online(there.server, { limits: { characters: 1024 } });
    for (const envelope of ["from='alice@example.org/x'", "to='relay.example.org'"]) {
      stream.send(`<iq type='get' id='big' ${envelope}><x>${"x".repeat(2048)}</x></iq>`);
    }
    await stream.settled();
    expect(facts.filter(({ fact }) => fact === "stanza-dropped")).toHaveLength(2);
  });

  test("without end is not kept without end", async () => {
    const { comes, stream } = await online(there.server, { limits: { characters: 1024 } });
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
    const { comes, received, stream } = await online(there.server);
    stream.send(first);
    stream.send(then);
    await comes("offline");
    pass(0.5);
    await there.server.accept();
    await comes("online");
    expect(received).toEqual([]);
  });

  test("as whitespace keeps the stream alive and leaves nothing behind", async () => {
    const { connection, stream } = await online(there.server);
    for (let i = 0; i < 100; i += 1) stream.send(" \n");
    await stream.settled();
    expect(connection.state().state).toBe("online");
  });
});
