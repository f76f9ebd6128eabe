// Cuts the XML of an XMPP stream into tags and text, in time linear in its length (the tokenizer of the XMPP library is
// quadratic in the length of a chunk, so that long messages stop the event loop). It reads what RFC 6120 section 11.1
// leaves of XML: no comments, no document types, no entities of one's own, no instructions but the XML declaration.

export interface TokenReceiver {
  opened(name: string, attributes: Record<string, string>): void;
  closed(name: string): void;
  /** One text may come in several pieces. */
  said(text: string): void;
}

const cdataStart = "<![CDATA[";
const cdataEnd = "]]>";
const entities: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };
const longestEntity = 16;
const tagMark = /["'>]/g;
const elementName = /[^\s=<>"'/!?&]+/y;
const attribute = /\s+([^\s=<>"'/]+)\s*=\s*(?:"([^"<]*)"|'([^'<]*)')/y;

export class XmlTokenizer {
  readonly #receiver: TokenReceiver;
  readonly #longestTag: number;
  #reading: "text" | "cdata" | "tag" = "text";
  /** What a chunk ended with and only the next one can decide: a few characters. */
  #undecided = "";
  /** The open tag as far as it was read, without its `<`. */
  #tag: string[] = [];
  #tagLength = 0;
  /** The quotation mark of the attribute that the open tag is in. */
  #quote = "";

  /** `longestTag` is in characters. */
  constructor(receiver: TokenReceiver, longestTag: number) {
    this.#receiver = receiver;
    this.#longestTag = longestTag;
  }

  /** Throws at what is not well-formed, or not allowed; nothing can be read after that. */
  write(chunk: string): void {
    const text = this.#undecided + chunk;
    this.#undecided = "";
    for (let at = 0; at < text.length; ) {
      if (this.#reading === "text") at = this.#readText(text, at);
      else if (this.#reading === "cdata") at = this.#readCdata(text, at);
      else at = this.#readTag(text, at);
    }
  }

  #readText(text: string, from: number): number {
    const tag = text.indexOf("<", from);
    if (tag > from) this.#receiver.said(withoutEntities(text.slice(from, tag)));
    if (tag >= 0) return this.#beginTag(text, tag);

    const ampersand = text.lastIndexOf("&");
    const isCut = ampersand >= from && text.length - ampersand < longestEntity && !text.includes(";", ampersand);
    const end = isCut ? ampersand : text.length;
    if (end > from) this.#receiver.said(withoutEntities(text.slice(from, end)));
    return this.#wait(text, end);
  }

  #beginTag(text: string, at: number): number {
    if (text.startsWith(cdataStart, at)) {
      this.#reading = "cdata";
      return at + cdataStart.length;
    }
    if (cdataStart.startsWith(text.slice(at, at + cdataStart.length))) return this.#wait(text, at);
    this.#reading = "tag";
    return at + 1;
  }

  #readCdata(text: string, from: number): number {
    const end = text.indexOf(cdataEnd, from);
    const stop = end < 0 ? Math.max(from, text.length - cdataEnd.length + 1) : end;
    if (stop > from) this.#receiver.said(text.slice(from, stop));
    if (end < 0) return this.#wait(text, stop);
    this.#reading = "text";
    return end + cdataEnd.length;
  }

  #readTag(text: string, from: number): number {
    const end = this.#endOfTag(text, from);
    const stop = end < 0 ? text.length : end;
    this.#tag.push(text.slice(from, stop));
    this.#tagLength += stop - from;
    check(this.#tagLength <= this.#longestTag, "a tag is too long");
    if (end < 0) return stop;

    const tag = this.#tag.join("");
    this.#tag = [];
    this.#tagLength = 0;
    this.#reading = "text";
    this.#judge(tag);
    return end + 1;
  }

  /** Where the tag's `>` is, or -1. One in an attribute is not the tag's. */
  #endOfTag(text: string, from: number): number {
    for (let at = from; at < text.length; at += 1) {
      if (this.#quote === "") {
        const mark = find(tagMark, text, at);
        if (!mark || mark[0] === ">") return mark ? mark.index : -1;
        this.#quote = mark[0];
        at = mark.index;
      } else {
        at = text.indexOf(this.#quote, at);
        if (at < 0) return -1;
        this.#quote = "";
      }
    }
    return -1;
  }

  #judge(tag: string): void {
    if (/^\?xml\s.*\?$/s.test(tag)) return;
    if (tag.startsWith("/")) {
      this.#receiver.closed(tag.slice(1).trimEnd());
      return;
    }
    const name = find(elementName, tag, 0)?.[0];
    check(name, "a tag has no name, or is not allowed");
    const attributes: Record<string, string> = {};
    let at = name.length;
    for (let found = find(attribute, tag, at); found; found = find(attribute, tag, at)) {
      const [whole, key = "", quoted, apostrophed] = found;
      check(!Object.hasOwn(attributes, key), "an attribute is there twice");
      attributes[key] = withoutEntities(quoted ?? apostrophed ?? "");
      at += whole.length;
    }
    const end = tag.slice(at).trim();
    check(end === "" || end === "/", "a tag is not well-formed");
    this.#receiver.opened(name, attributes);
    if (end === "/") this.#receiver.closed(name);
  }

  #wait(text: string, from: number): number {
    this.#undecided = text.slice(from);
    return text.length;
  }
}

function find(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

function withoutEntities(text: string): string {
  return text.replace(/&([^;&]*);?/g, (whole, name: string) => {
    const known = Object.hasOwn(entities, name) ? entities[name] : characterOf(name);
    check(known !== undefined && whole.endsWith(";"), "an entity is not allowed");
    return known;
  });
}

/** A numeric character reference, if it is a character of XML. */
function characterOf(reference: string): string | undefined {
  const [, decimal, hexadecimal = "0"] = /^#(?:(\d+)|x([\da-fA-F]+))$/.exec(reference) ?? [];
  const code = decimal ? Number(decimal) : Number.parseInt(hexadecimal, 16);
  const isCharacter =
    [0x9, 0xa, 0xd].includes(code) ||
    (code >= 0x20 && code <= 0xd7ff) ||
    (code >= 0xe000 && code <= 0xfffd) ||
    (code >= 0x10000 && code <= 0x10ffff);
  return isCharacter ? String.fromCodePoint(code) : undefined;
}

function check(isRight: unknown, what: string): asserts isRight {
  if (!isRight) throw new Error(`not-well-formed: ${what}`);
}
