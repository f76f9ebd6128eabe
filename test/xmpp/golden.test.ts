// Questions and the answers to them, as XML. To add a case, add two files: `NAME.question.xml` and `NAME.answer.xml`
// (empty where nothing may be answered, and with several stanzas where several are).

import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { ask } from "./iq-table.ts";
import { readXml, writeXml } from "./read-xml.ts";

const folder = new URL("golden/", import.meta.url);
const files = readdirSync(folder).sort();
const names = files.filter((file) => file.endsWith(".question.xml")).map((file) => file.replace(".question.xml", ""));

function read(file: string): string {
  return readFileSync(new URL(file, folder), "utf8").trim();
}

describe("golden XML", () => {
  test.each(names)("%s", (name) => {
    const { replies } = ask(readXml(read(`${name}.question.xml`)));
    const answer = readXml(`<stream>${read(`${name}.answer.xml`)}</stream>`);
    expect(replies.map((reply) => writeXml(reply))).toEqual(answer.getChildElements().map((reply) => writeXml(reply)));
  });

  test("every question has its answer, and every answer its question", () => {
    expect(files).toEqual(names.flatMap((name) => [`${name}.answer.xml`, `${name}.question.xml`]).sort());
  });
});
