import type { Element } from "@xmpp/xml";
import { expect, test } from "vitest";
import { StreamParser } from "../../src/component/stream-parser.ts";

const header = "<stream:stream xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:component:accept'>";

function read(text: string) {
  const events: [event: string, value: unknown][] = [];
  const parser = new StreamParser({ characters: 100, depth: 3 }, (stanza) => events.push(["oversize", stanza]));
  for (const event of ["start", "element", "end", "error"]) parser.on(event, (value) => events.push([event, value]));
  parser.write(text);
  return events.map(([event, value]) => `${event} ${value}`);
}

test("a stanza is delivered when it is whole, with the namespaces of the stream", () => {
  const elements: Element[] = [];
  const parser = new StreamParser({ characters: 100, depth: 3 }, () => {});
  parser.on("element", (element) => elements.push(element as Element));
  parser.write(`${header}<iq><a/></iq> <message`);
  parser.write("/>");
  expect(elements.map(String)).toEqual(["<iq><a/></iq>", "<message/>"]);
  expect(elements[0]?.getNS()).toBe("jabber:component:accept");
});

test("a stanza at the limit of depth is whole, and one beyond keeps only itself", () => {
  expect(read(`${header}<a><b><c>x</c></b></a><a e='f'><b><c><d/></c></b>x</a><a/>`).slice(1)).toEqual([
    "element <a><b><c>x</c></b></a>",
    'oversize <a e="f"/>',
    "element <a/>",
  ]);
});

test.each([
  ["text", `<a><b>${"x".repeat(97)}`, "</b></a>"],
  ["attributes", `<a><b c='${"x".repeat(96)}'>`, "</b></a>"],
  ["names", `<a>${"<b/>".repeat(98)}`, "</a>"],
])("a stanza at the limit of characters is whole, and one beyond keeps only itself: %s", (_, start, end) => {
  expect(read(`${header}${start}${end}`)[1]).toMatch(/^element /);
  expect(read(`${header}${start}${start.endsWith(">") ? "<cc/>" : "xx"}${end}<a/>`).slice(1)).toEqual([
    "oversize <a/>",
    "element <a/>",
  ]);
});

test("nothing is read after the end of the stream, nor after an error", () => {
  expect(read(`${header}</stream:stream><a/></b>`).map((event) => event.split(" ")[0])).toEqual(["start", "end"]);
  expect(read(`${header}<a></b><c/></d>`).map((event) => event.split(" ")[0])).toEqual(["start", "error"]);
});
