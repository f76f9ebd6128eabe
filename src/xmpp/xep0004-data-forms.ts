// XEP-0004: forms that are filled in, and results that are read. A form is data here, and XML on the wire only.

import xml, { type Element } from "@xmpp/xml";
import { parseJid } from "./jid.ts";

export const dataFormsNamespace = "jabber:x:data";

export type Field =
  | { readonly type: "fixed"; readonly value: string }
  | {
      readonly type: "text-single" | "jid-single" | "boolean" | "list-single";
      readonly name: string;
      readonly label: string;
      readonly value?: string;
      /** Of a list: label by value. */
      readonly options?: Readonly<Record<string, string>>;
      readonly isRequired?: boolean;
    };

export interface Form {
  readonly title: string;
  readonly instructions?: string;
  readonly fields: readonly Field[];
}

/** What was filled in, or else the value that the form came with, by name. Booleans are `"1"` or `"0"`. */
export type Answers = ReadonlyMap<string, string>;

/** A result of one thing: its label and value, each. */
export type Lines = readonly (readonly [label: string, value: string])[];

/** A result of many things: `columns` are labels. */
export interface Table {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export function writeForm({ title, instructions, fields }: Form): Element {
  return xml(
    "x",
    { xmlns: dataFormsNamespace, type: "form" },
    xml("title", {}, title),
    ...(instructions === undefined ? [] : [xml("instructions", {}, instructions)]),
    ...fields.map(writeField),
  );
}

/** Each line of a value that has several is a value of its own. */
export function writeLines(title: string, lines: Lines): Element {
  const fields = lines.map(([label, value], index) => {
    const values = value.split("\n").map((line) => xml("value", {}, line));
    const type = values.length > 1 ? "text-multi" : "text-single";
    return xml("field", { var: `line-${index + 1}`, type, label }, ...values);
  });
  return xml("x", { xmlns: dataFormsNamespace, type: "result" }, xml("title", {}, title), ...fields);
}

export function writeTable({ columns, rows }: Table): Element {
  const nameOf = (index: number) => `column-${index + 1}`;
  const headings = columns.map((label, index) => xml("field", { var: nameOf(index), type: "text-single", label }));
  const items = rows.map((row) =>
    xml("item", {}, ...row.map((cell, index) => xml("field", { var: nameOf(index) }, xml("value", {}, cell)))),
  );
  return xml("x", { xmlns: dataFormsNamespace, type: "result" }, xml("reported", {}, ...headings), ...items);
}

/** What `payload` has to say to `form`; or, as a text, what is wrong with it. Fields that were not asked for are left out. */
export function readAnswers(form: Form, payload: Element): Answers | string {
  const submitted = payload.getChild("x", dataFormsNamespace);
  const answers = new Map<string, string>();
  for (const field of form.fields) {
    if (field.type === "fixed") continue;
    const written = submitted?.getChildByAttr("var", field.name)?.getChildText("value")?.trim();
    const value = written ?? field.value ?? "";
    if (value === "" && field.isRequired) return `${field.label}: is missing`;
    if (value !== "" && !isPossible(field, value)) return `${field.label}: ${value.slice(0, 64)} is not possible`;
    answers.set(field.name, field.type === "boolean" ? booleanOf(value) : value);
  }
  return answers;
}

function writeField(field: Field): Element {
  if (field.type === "fixed") return xml("field", { type: "fixed" }, xml("value", {}, field.value));
  const { type, name, label, value, options = {}, isRequired = false } = field;
  return xml(
    "field",
    { var: name, type, label },
    ...(isRequired ? [xml("required")] : []),
    ...(value === undefined ? [] : [xml("value", {}, value)]),
    ...Object.entries(options).map(([value, label]) => xml("option", { label }, xml("value", {}, value))),
  );
}

function isPossible({ type, options }: Exclude<Field, { type: "fixed" }>, value: string): boolean {
  switch (type) {
    case "boolean":
      return ["0", "1", "false", "true"].includes(value);
    case "list-single":
      return Object.keys(options ?? {}).includes(value);
    case "jid-single":
      return parseJid(value) !== undefined;
    case "text-single":
      return true;
  }
}

function booleanOf(value: string): "1" | "0" {
  return value === "1" || value === "true" ? "1" : "0";
}
