// The text of a users file: one user a line, `name:realm:md5key[:sha256key]`, the keys in hexadecimal (RFC 8489 sections
// 9.2.2 and 18.5.1). Without the last field it is what Apache's htdigest writes. A key serves as the password in its realm:
// what is said here about a line never quotes it.

import { type LongTermKeys, longTermKey } from "../stun/keys.ts";

export interface ListedUser {
  readonly name: string;
  readonly realm: string;
  readonly keys: LongTermKeys;
}

export interface LineMistake {
  /** Counted from 1. */
  readonly line: number;
  readonly message: string;
}

export interface UsersRead {
  readonly users: readonly ListedUser[];
  /** All of them, by line. */
  readonly mistakes: readonly LineMistake[];
}

/** USERNAME has room for no more (RFC 8489 section 14.3). */
const nameBytesAtMost = 508;

/** Blank lines and those that begin with # say nothing. */
export function readUsers(text: string): UsersRead {
  const users: ListedUser[] = [];
  const mistakes: LineMistake[] = [];
  const lineOf = new Map<string, number>();
  for (const [index, written] of text.split("\n").entries()) {
    const line = index + 1;
    const content = contentOf(written);
    if (content === undefined) continue;
    const read = readUser(content);
    if ("mistakes" in read) {
      mistakes.push(...read.mistakes.map((message) => ({ line, message })));
      continue;
    }
    const first = lineOf.get(placeOf(read));
    if (first === undefined) users.push(read);
    else mistakes.push({ line, message: `the same name and realm as in line ${first}` });
    lineOf.set(placeOf(read), first ?? line);
  }
  return { users, mistakes };
}

/** The line of a user, without its end. The password is not to be found from it, but it is as good as one. */
export function userLine(name: string, realm: string, password: string): string {
  const keys = (["md5", "sha256"] as const).map((algorithm) => longTermKey(name, realm, password, algorithm));
  return [name, realm, ...keys.map((key) => Buffer.from(key).toString("hex"))].join(":");
}

/** Why there cannot be a line of such a user, if there cannot. */
export function mistakeInPlace(name: string, realm: string): string | undefined {
  return [mistakeInName(name), mistakeInRealm(realm)].find((mistake) => mistake !== undefined);
}

/** The text with this line in place of the one of the same name and realm, or as its last one. */
export function withUser(text: string, line: string): string {
  const lines = linesOf(text);
  const at = lines.findIndex((each) => isOfPlace(each, ...placeIn(line)));
  return textOf(at < 0 ? [...lines, line] : lines.with(at, line));
}

/** The text without this user. */
export function withoutUser(text: string, name: string, realm: string): string {
  return textOf(linesOf(text).filter((line) => !isOfPlace(line, name, realm)));
}

function readUser(content: string): ListedUser | { readonly mistakes: readonly string[] } {
  const fields = content.split(":");
  const [name = "", realm = "", md5 = "", sha256] = fields;
  if (fields.length < 3 || fields.length > 4)
    return { mistakes: ["expected name:realm:md5key or name:realm:md5key:sha256key"] };
  const mistakes = [
    mistakeInName(name),
    mistakeInRealm(realm),
    mistakeInKey("md5key", md5, 16),
    sha256 === undefined ? undefined : mistakeInKey("sha256key", sha256, 32),
  ].filter((mistake) => mistake !== undefined);
  if (mistakes.length > 0) return { mistakes };
  return { name, realm, keys: { md5: bytesOf(md5), sha256: sha256 === undefined ? undefined : bytesOf(sha256) } };
}

function mistakeInName(name: string): string | undefined {
  const isName = /^[^:\p{Cc}#][^:\p{Cc}]*$/u.test(name) && Buffer.byteLength(name) <= nameBytesAtMost;
  return isName ? undefined : `name: expected 1 to ${nameBytesAtMost} bytes, no colon, and no # in front`;
}

function mistakeInRealm(realm: string): string | undefined {
  return /^[^:\p{Cc}]{1,127}$/u.test(realm) ? undefined : "realm: expected 1 to 127 characters, none of them a colon";
}

function mistakeInKey(field: string, key: string, bytes: number): string | undefined {
  const isKey = /^[0-9a-f]*$/i.test(key) && key.length === 2 * bytes;
  return isKey ? undefined : `${field}: expected ${2 * bytes} hexadecimal digits`;
}

function bytesOf(hexadecimal: string): Uint8Array {
  return Buffer.from(hexadecimal, "hex");
}

function contentOf(line: string): string | undefined {
  const content = line.replace(/\r$/, "");
  return content.trim() === "" || content.startsWith("#") ? undefined : content;
}

function placeOf({ name, realm }: { readonly name: string; readonly realm: string }): string {
  return `${name}:${realm}`;
}

function placeIn(line: string): [name: string, realm: string] {
  const [name = "", realm = ""] = line.split(":");
  return [name, realm];
}

function isOfPlace(line: string, name: string, realm: string): boolean {
  return contentOf(line) !== undefined && line.startsWith(`${placeOf({ name, realm })}:`);
}

function linesOf(text: string): string[] {
  return text === "" ? [] : text.replace(/\n$/, "").split("\n");
}

function textOf(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join("");
}
