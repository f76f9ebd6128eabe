import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseJid } from "../../src/xmpp/jid.ts";
import { escapeLocalPart, unescapeLocalPart } from "../../src/xmpp/xep0106-jid-escaping.ts";

describe("a text as a local part", () => {
  // Section 5 of the XEP.
  test.each([
    ["space cadet", "space\\20cadet"],
    ['call me "ishmael"', "call\\20me\\20\\22ishmael\\22"],
    ["at&t guy", "at\\26t\\20guy"],
    ["d'artagnan", "d\\27artagnan"],
    ["/.fanboy", "\\2f.fanboy"],
    ["::foo::", "\\3a\\3afoo\\3a\\3a"],
    ["<foo>", "\\3cfoo\\3e"],
    ["user@host", "user\\40host"],
    ["c:\\net", "c\\3a\\net"],
    ["c:\\\\net", "c\\3a\\\\net"],
    ["c:\\cool stuff", "c\\3a\\cool\\20stuff"],
    ["c:\\5commas", "c\\3a\\5c5commas"],
    ["\\3and\\2is\\5cool@example.com", "\\5c3and\\2is\\5c5cool\\40example.com"],
  ])("%s is %s, and back", (text, escaped) => {
    expect(escapeLocalPart(text)).toBe(escaped);
    expect(unescapeLocalPart(escaped)).toBe(text);
  });

  test.each([" foo", "foo ", " "])("%j cannot be", (text) => {
    expect(escapeLocalPart(text)).toBeUndefined();
  });

  test("comes back as it was, and is one, whatever it is", () => {
    const character = fc.constantFrom(..." \"&'/:<>@\\20457acefé文");
    fc.assert(
      fc.property(fc.string({ unit: character, minLength: 1 }), (text) => {
        const escaped = escapeLocalPart(text);
        if (escaped === undefined) return;
        expect(unescapeLocalPart(escaped)).toBe(text);
        expect(parseJid(`${escaped}@example.org`)).toMatchObject({ local: escaped, resource: "" });
      }),
    );
  });
});
