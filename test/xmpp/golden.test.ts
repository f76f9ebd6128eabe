// Questions and the answers to them, as XML. To add a case, add two files: `NAME.question.xml` and `NAME.answer.xml`
// (empty where nothing may be answered). Either may be several stanzas: questions are then asked one after the other.

import { readdirSync, readFileSync } from "node:fs";
import type { Element } from "@xmpp/xml";
import { describe, expect, test } from "vitest";
import { converse } from "./iq-table.ts";
import { readXml, writeXml } from "./read-xml.ts";

const folder = new URL("golden/", import.meta.url);
const files = readdirSync(folder).sort();
const names = files.filter((file) => file.endsWith(".question.xml")).map((file) => file.replace(".question.xml", ""));

function read(file: string): Element[] {
  return readXml(`<stream>${readFileSync(new URL(file, folder), "utf8")}</stream>`).getChildElements();
}

describe("golden XML", () => {
  test.each(names)("%s", (name) => {
    const replies = converse(read(`${name}.question.xml`));
    expect(replies.map((reply) => writeXml(reply))).toEqual(read(`${name}.answer.xml`).map((reply) => writeXml(reply)));
  });

  test("every question has its answer, and every answer its question", () => {
    expect(files).toEqual(names.flatMap((name) => [`${name}.answer.xml`, `${name}.question.xml`]).sort());
  });
});
