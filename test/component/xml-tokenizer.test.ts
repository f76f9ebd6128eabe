import xml, { type Element } from "@xmpp/xml";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { XmlTokenizer } from "../../src/component/xml-tokenizer.ts";

type Token = readonly ["opened", string, Record<string, string>] | readonly ["closed" | "said", string];

/** The tokens of text that comes in `pieces`. */
function read(pieces: readonly string[], longestTag = 1000): Token[] {
  const tokens: Token[] = [];
  const tokenizer = new XmlTokenizer(
    {
      opened: (name, attributes) => tokens.push(["opened", name, attributes]),
      closed: (name) => tokens.push(["closed", name]),
      said: (text) => say(tokens, text),
    },
    longestTag,
  );
  for (const piece of pieces) tokenizer.write(piece);
  return tokens;
}

function tokensOf(element: Element, tokens: Token[] = []): Token[] {
  tokens.push(["opened", element.name, element.attrs]);
  for (const child of element.children) {
    if (typeof child === "string") say(tokens, child);
    else tokensOf(child, tokens);
  }
  tokens.push(["closed", element.name]);
  return tokens;
}

/** Puts the pieces of one text together. */
function say(tokens: Token[], text: string): void {
  const last = tokens.at(-1);
  if (last?.[0] === "said") tokens[tokens.length - 1] = ["said", last[1] + text];
  else tokens.push(["said", text]);
}

describe("the tokenizer", () => {
  const text = `<?xml version='1.0'?><a b="1 > '2'" c = '"'\n xmlns:d='e'><d:f/>x &lt;&amp;&#x6587;&#20214; ]]&gt; <![CDATA[<&]]]]><g h='&quot;' /></a >`;
  const tokens = [
    ["opened", "a", { b: "1 > '2'", c: '"', "xmlns:d": "e" }],
    ["opened", "d:f", {}],
    ["closed", "d:f"],
    ["said", "x <&文件 ]]> <&]]"],
    ["opened", "g", { h: '"' }],
    ["closed", "g"],
    ["closed", "a"],
  ];

  test("reads tags, attributes, text, entities and CDATA", () => {
    expect(read([text])).toEqual(tokens);
  });

  test("reads the same wherever it is cut", () => {
    for (let cut = 0; cut <= text.length; cut += 1) {
      expect(read([text.slice(0, cut), text.slice(cut)])).toEqual(tokens);
    }
  });

  test("reads the same in single characters", () => {
    expect(read([...text])).toEqual(tokens);
  });

  test("reads whatever the XMPP library writes", () => {
    const name = fc.constantFrom("iq", "stream:stream", "文件", "a-b_c.d");
    const attributes = fc.dictionary(name, fc.string({ unit: "grapheme" }));
    const { tree } = fc.letrec<{ tree: Element }>((tie) => ({
      tree: fc
        .tuple(name, attributes, fc.array(fc.oneof({ maxDepth: 4 }, fc.string({ unit: "grapheme" }), tie("tree"))))
        .map(([name, attributes, children]) => xml(name, { ...attributes }, ...children)),
    }));
    fc.assert(
      fc.property(tree, fc.integer({ min: 1, max: 20 }), (element, size) => {
        const text = element.toString();
        const pieces = text.match(new RegExp(`.{1,${size}}`, "gsu")) ?? [];
        expect(read(pieces, 1e6)).toEqual(tokensOf(element));
      }),
    );
  });

  test.each([
    ["a comment", "<!-- x -->"],
    ["a document type", "<!DOCTYPE a [<!ENTITY b 'c'>]>"],
    ["an instruction", "<?php x ?>"],
    ["an entity of one's own", "&b;<a/>"],
    ["an entity of the language's", "&toString;<a/>"],
    ["a character that is none", "&#0;<a/>"],
    ["a character beyond all", "&#x110000;<a/>"],
    ["half a character", "&#xD800;<a/>"],
    ["a bare ampersand", "a & b<a/>"],
    ["an entity without end", "&aaaaaaaaaaaaaaaaaaaaaaaa"],
    ["a tag without name", "<>"],
    ["an end without name in a tag", "< a>"],
    ["an attribute without value", "<a b>"],
    ["an attribute without quotes", "<a b=c>"],
    ["attributes without space", "<a b='c'd='e'>"],
    ["a tag within an attribute", "<a b='<c>'>"],
    ["an attribute twice", "<a b='c' b='d'>"],
    ["an attribute named as those of objects, twice", "<a toString='c' toString='d'>"],
    ["a tag that is too long", `<a b='${"c".repeat(1000)}'>`],
    ["a tag that is too long and has no end", `<a b='${"c".repeat(1000)}`],
  ])("refuses %s", (_, text) => {
    expect(() => read([text])).toThrow(/not-well-formed/);
  });

  test("either reads or refuses whatever it is given", () => {
    const piece = fc.oneof(fc.constantFrom(..."<>/!?&;='\"[] ", "<![CDATA[", "]]>", "&#x", "<?xml "), fc.string());
    fc.assert(
      fc.property(fc.array(piece), (pieces) => {
        try {
          read(pieces);
        } catch (error) {
          expect(String(error)).toMatch(/not-well-formed/);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
