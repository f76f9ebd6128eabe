// C6: what TURN lets stand in a name and XML does not.

import xml from "@xmpp/xml";
import { expect, onTestFinished, test } from "vitest";
import { Connection } from "../../src/component/connection.ts";
import { inXmlCharacters } from "../../src/component/xml-characters.ts";
import { writeTable } from "../../src/xmpp/xep0004-data-forms.ts";
import { FakeServer } from "./fake-server.ts";

const anyName = "a\u0000\u001b[2Jb\ufffe\ud800c";
const sayable = "a\ufffd\ufffd[2Jb\ufffd\ufffdc";

test("every text and attribute keeps what XML can say, and nothing else", () => {
  const element = xml("x", { user: anyName, none: undefined }, "\t\r\n é 𝄞 <&>", xml("y", {}, anyName));
  expect(inXmlCharacters(element).toString()).toBe(
    `<x user="${sayable}">\t\r\n é 𝄞 &lt;&amp;&gt;<y>${sayable}</y></x>`,
  );
});

test("a name that XML cannot say does not end the stream", async () => {
  const server = new FakeServer();
  await server.start();
  const table = writeTable({ columns: ["User"], rows: [[anyName]] });
  const connection = new Connection({
    service: server.service,
    domain: "relay.example.org",
    secret: server.secret,
    server: "example.org",
    receive: () => [],
    report: () => {},
    random: () => 0,
  });
  connection.start();
  onTestFinished(async () => {
    await server.stop();
    await connection.stop();
  });
  const stream = await server.accept();
  await connection.send(xml("message", {}, table));
  expect((await stream.next()).toString()).toContain(`<value>${sayable}</value>`);
});
