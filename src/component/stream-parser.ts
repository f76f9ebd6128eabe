// Reads the server's stream into elements, within bounds. It stands in for the parser of the XMPP library, which crashes
// on what follows an error, keeps every whitespace keepalive, and takes stanzas of any size and depth.

import { EventEmitter } from "node:events";
import xml, { type Element } from "@xmpp/xml";
import { XmlTokenizer } from "./xml-tokenizer.ts";

export interface StanzaLimits {
  /** Names, attributes and text of one stanza, in characters. */
  readonly characters: number;
  /** Levels of elements in one stanza. */
  readonly depth: number;
}

/** How many times the characters of a stanza a single tag may have before the whole stream is given up. */
const patience = 16;

/**
 * Emits `start` with the stream's header, `element` with each stanza, then `end` or one `error`, and is silent after that.
 * Of a stanza beyond the limits, `oversize` gets what is left: its own name and attributes.
 */
export class StreamParser {
  readonly #events = new EventEmitter();
  readonly #limits: StanzaLimits;
  readonly #oversize: (stanza: Element) => void;
  readonly #tokenizer: XmlTokenizer;
  /** Names of the open elements; the stream is the first. */
  readonly #open: string[] = [];
  #root: Element | undefined;
  #stanza: Element | undefined;
  /** The innermost open element of a stanza that is within the limits. */
  #cursor: Element | undefined;
  #characters = 0;
  #isOver = false;

  constructor(limits: StanzaLimits, oversize: (stanza: Element) => void) {
    this.#limits = limits;
    this.#oversize = oversize;
    const receiver = {
      opened: (name: string, attributes: Record<string, string>) => this.#opened(name, attributes),
      closed: (name: string) => this.#closed(name),
      said: (text: string) => this.#said(text),
    };
    this.#tokenizer = new XmlTokenizer(receiver, patience * limits.characters);
  }

  on(event: string, listener: (value: unknown) => void): void {
    this.#events.on(event, listener);
  }

  once(event: string, listener: (value: unknown) => void): void {
    this.#events.once(event, listener);
  }

  removeListener(event: string, listener: (value: unknown) => void): void {
    this.#events.removeListener(event, listener);
  }

  write(text: string): void {
    if (this.#isOver) return;
    try {
      this.#tokenizer.write(text);
    } catch (error) {
      if (!this.#isOver) this.#finish("error", error);
    }
  }

  #opened(name: string, attributes: Record<string, string>): void {
    if (this.#isOver) return;
    this.#open.push(name);
    if (this.#open.length === 1) {
      this.#root = xml(name, attributes);
      this.#events.emit("start", this.#root);
      return;
    }
    if (this.#open.length === 2) {
      this.#stanza = xml(name, attributes);
      this.#cursor = this.#stanza;
      this.#characters = 0;
    }
    this.#count(
      name.length + Object.entries(attributes).reduce((sum, [key, value]) => sum + key.length + value.length, 0),
    );
    if (this.#open.length > 2) this.#cursor = this.#cursor?.cnode(xml(name, attributes));
  }

  #said(text: string): void {
    if (this.#isOver || this.#open.length < 2) return;
    this.#count(text.length);
    this.#cursor?.t(text);
  }

  #closed(name: string): void {
    if (this.#isOver) return;
    if (this.#open.pop() !== name) throw new Error(`not-well-formed: ${name} is closed, but not open`);
    if (this.#open.length === 0) this.#finish("end", this.#root);
    else if (this.#open.length === 1) this.#deliver();
    else this.#cursor = this.#cursor?.parent ?? undefined;
  }

  /** Lets go at once of a stanza that goes beyond the limits. */
  #count(characters: number): void {
    this.#characters += characters;
    if (this.#characters <= this.#limits.characters && this.#open.length <= this.#limits.depth + 1) return;
    this.#cursor = undefined;
    if (this.#stanza) this.#stanza.children = [];
  }

  #deliver(): void {
    const stanza = this.#stanza;
    const isWhole = this.#cursor !== undefined;
    this.#stanza = undefined;
    this.#cursor = undefined;
    if (!stanza) return;
    stanza.parent = this.#root ?? null;
    if (isWhole) this.#events.emit("element", stanza);
    else this.#oversize(stanza);
  }

  #finish(event: "end" | "error", value: unknown): void {
    this.#isOver = true;
    this.#events.emit(event, value);
  }
}
