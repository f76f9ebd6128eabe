// Questions and the answers to them, as XML. To add a case, add two files: `NAME.question.xml` and `NAME.answer.xml`
// (empty where nothing may be answered). Either may be several stanzas: questions are then asked one after the other.

import { readdirSync, readFileSync } from "node:fs";
import type { Element } from "@xmpp/xml";
import { describe, expect, test } from "vitest";
import { converse, rows } from "./iq-table.ts";
import { readXml, writeXml } from "./read-xml.ts";

const folder = new URL("golden/", import.meta.url);
const files = readdirSync(folder).sort();
const names = files.filter((file) => file.endsWith(".question.xml")).map((file) => file.replace(".question.xml", ""));

function read(file: string): Element[] {
  return readXml(`<stream>${readFileSync(new URL(file, folder), "utf8")}</stream>`).getChildElements();
}

/** Whoever asks. */
const neverRefused = ["get jabber:iq:version query", "get urn:xmpp:ping ping"];

/** The IQs of a case that are answered so: type, namespace and element. */
function answered(name: string, type: string): string[] {
  const answers = read(`${name}.answer.xml`).filter((answer) => answer.attrs.type === type);
  return read(`${name}.question.xml`)
    .filter(({ attrs }) => answers.some((answer) => answer.attrs.id === attrs.id))
    .flatMap(({ attrs, children }) =>
      children.map((child) => (typeof child === "string" ? "" : `${attrs.type} ${child.getNS()} ${child.getName()}`)),
    );
}

describe("golden XML", () => {
  test.each(names)("%s", (name) => {
    const replies = converse(read(`${name}.question.xml`));
    expect(replies.map((reply) => writeXml(reply))).toEqual(read(`${name}.answer.xml`).map((reply) => writeXml(reply)));
  });

  test("everything that is answered is asked for here, with a result and with an error", () => {
    const [results, errors] = ["result", "error"].map((type) => new Set(names.flatMap((name) => answered(name, type))));
    const all = rows().map(({ type, namespace, element }) => `${type} ${namespace} ${element}`);
    expect(all.filter((row) => !results?.has(row))).toEqual([]);
    expect(all.filter((row) => !errors?.has(row) && !neverRefused.includes(row))).toEqual([]);
  });

  test("every question has its answer, and every answer its question", () => {
    expect(files).toEqual(names.flatMap((name) => [`${name}.answer.xml`, `${name}.question.xml`]).sort());
  });
});
