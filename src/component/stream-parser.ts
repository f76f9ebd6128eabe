// Reads the server's stream into elements, within bounds. It stands in for the parser of the XMPP library, which crashes
// on what follows an error, keeps every whitespace keepalive, and takes stanzas of any size and depth.

import { EventEmitter } from "node:events";
import xml, { type Element } from "@xmpp/xml";
import Tokenizer from "ltx/lib/parsers/ltx.js";

export interface StanzaLimits {
  /** Names, attributes and text of one stanza, in characters. */
  readonly characters: number;
  /** Levels of elements in one stanza. */
  readonly depth: number;
}

/** A single name, attribute or text may be this many times the limit before the stream is given up. */
const patience = 16;

/**
 * Emits `start` with the stream's header, `element` with each stanza, then `end` or one `error`, and is silent after that.
 * Of a stanza beyond the limits, `oversize` gets what is left: its own name and attributes.
 */
export class StreamParser {
  readonly #events = new EventEmitter();
  readonly #tokenizer = new Tokenizer();
  readonly #limits: StanzaLimits;
  readonly #oversize: (stanza: Element) => void;
  /** Names of the open elements; the stream is the first. */
  readonly #open: string[] = [];
  #root: Element | undefined;
  #stanza: Element | undefined;
  #cursor: Element | undefined;
  #characters = 0;
  #isOversize = false;
  #unread = 0;
  #isOver = false;

  constructor(limits: StanzaLimits, oversize: (stanza: Element) => void) {
    this.#limits = limits;
    this.#oversize = oversize;
    this.#tokenizer.on("startElement", (name: string, attributes: Record<string, string>) => {
      if (!this.#isOver) this.#opened(name, attributes);
    });
    this.#tokenizer.on("endElement", (name: string) => {
      if (!this.#isOver) this.#closed(name);
    });
    this.#tokenizer.on("text", (text: string) => {
      if (!this.#isOver) this.#said(text);
    });
  }

  on(event: string, listener: (...values: unknown[]) => void): this {
    this.#events.on(event, listener);
    return this;
  }

  once(event: string, listener: (...values: unknown[]) => void): this {
    this.#events.once(event, listener);
    return this;
  }

  removeListener(event: string, listener: (...values: unknown[]) => void): this {
    this.#events.removeListener(event, listener);
    return this;
  }

  write(text: string): void {
    if (this.#isOver) return;
    this.#unread += text.length;
    try {
      this.#tokenizer.write(text);
    } catch (error) {
      this.#fail(error);
    }
    if (this.#unread > patience * this.#limits.characters)
      this.#fail(new Error("policy-violation: a token without end"));
  }

  #opened(name: string, attributes: Record<string, string>): void {
    this.#open.push(name);
    const size = Object.entries(attributes).reduce((sum, [key, value]) => sum + key.length + value.length, name.length);
    const element = xml(name, attributes);
    if (this.#open.length === 1) {
      this.#unread = 0;
      this.#root = element;
      this.#events.emit("start", element);
    } else if (this.#open.length === 2) {
      this.#stanza = element;
      this.#cursor = element;
      this.#isOversize = false;
      this.#characters = 0;
      this.#count(size);
    } else if (this.#count(size)) {
      this.#cursor?.cnode(element);
      this.#cursor = element;
    }
  }

  #said(text: string): void {
    if (this.#open.length < 2) this.#unread = 0;
    else if (this.#count(text.length)) this.#cursor?.t(text);
  }

  #closed(name: string): void {
    this.#unread = 0;
    if (this.#open.pop() !== name) this.#fail(new Error(`not-well-formed: ${name} is closed, but not open`));
    else if (this.#open.length === 0) this.#finish("end", this.#root);
    else if (this.#open.length === 1) this.#deliver();
    else if (!this.#isOversize) this.#cursor = this.#cursor?.parent ?? undefined;
  }

  /** Whether the stanza is still within its limits. What goes beyond them is let go of at once. */
  #count(characters: number): boolean {
    this.#unread = 0;
    this.#characters += characters;
    const isBeyond = this.#characters > this.#limits.characters || this.#open.length > this.#limits.depth + 1;
    if (isBeyond && !this.#isOversize) {
      this.#isOversize = true;
      this.#cursor = undefined;
      if (this.#stanza) this.#stanza.children = [];
    }
    return !this.#isOversize;
  }

  #deliver(): void {
    const stanza = this.#stanza;
    if (!stanza) return;
    this.#stanza = undefined;
    stanza.parent = this.#root ?? null;
    if (this.#isOversize) this.#oversize(stanza);
    else this.#events.emit("element", stanza);
  }

  #fail(error: unknown): void {
    if (!this.#isOver) this.#finish("error", error);
  }

  #finish(event: "end" | "error", value: unknown): void {
    this.#isOver = true;
    this.#events.emit(event, value);
  }
}
