// XML text for tests: read into an element, and written in one way, so that two texts that mean the same are the same.

import type { Element } from "@xmpp/xml";
import { parse } from "ltx";

/** Without the whitespace around elements and texts, which is there for the reader. */
export function readXml(text: string): Element {
  const element = parse(text) as Element;
  trim(element);
  return element;
}

/** Indented, with attributes in alphabetical order. */
export function writeXml(element: Element, indent = ""): string {
  const attributes = Object.entries(element.attrs).sort(([a], [b]) => (a < b ? -1 : 1));
  const tag = [element.name, ...attributes.map(([name, value]) => `${name}='${value}'`)].join(" ");
  const children = element.children.map((child) =>
    typeof child === "string" ? `${indent}  ${child}` : writeXml(child, `${indent}  `),
  );
  if (children.length === 0) return `${indent}<${tag}/>`;
  return [`${indent}<${tag}>`, ...children, `${indent}</${element.name}>`].join("\n");
}

function trim(element: Element): void {
  const children = element.children.map((child) => (typeof child === "string" ? child.trim() : child));
  element.children = children.filter((child) => child !== "");
  for (const child of element.children) if (typeof child !== "string") trim(child);
}
