// What a Prosody needs to have us as its component: as lines to paste, and as a change of its configuration in Lua. Every
// line that is put in ends in a mark, by which it is found again: so a second change gives the same text.

import { type ComponentPlace, delegatedNamespaces } from "./component-place.ts";
import { withoutComments } from "./lua-comments.ts";

const mark = " -- sluice setup";
/** For delegation, and for pushes in the users' names (XEP-0356): so that they have new credentials in time. */
const hostModules = ["delegation", "privilege"] as const;
const modulesLine = `  modules_enabled = { ${hostModules.map(quote).join(", ")} }`;
const usualPort = 5347;
/** Where Prosody takes components if nothing is said. */
const loopback: readonly string[] = ["127.0.0.1", "::1"];

export function prosodyLines(place: ComponentPlace): string {
  const hosts = place.hosts.flatMap((host) => [
    `VirtualHost ${quote(host)}`,
    `${modulesLine}   -- beside what is there`,
    ...settings(place).flatMap(settingLines),
    "",
  ]);
  return [...portLines(place), ...hosts, ...componentLines(place), ""].join("\n");
}

/** What is wrong with `before` for this is thrown as an `Error`. */
export function changeProsodyConfig(before: string, place: ComponentPlace): string {
  const kept = before.split("\n").filter((line) => !line.endsWith(mark));
  const text = `${kept.join("\n").trimEnd()}\n`;
  if (sectionOf(text, "Component", place.domain)) throw new Error(`it has a Component ${quote(place.domain)} already`);
  const code = withoutComments(text);
  const global = portLines(place).filter((line) => !code.includes(line.split(" ")[0] ?? ""));
  const changed = place.hosts.reduce((soFar, host) => changeHost(soFar, host, place), text);
  return [...global.map(marked), changed.trimEnd(), ...componentLines(place).map(marked), ""].join("\n");
}

/** Modules that answer XEP-0215 by themselves, and so stand in the way. */
export function prosodyConflicts(text: string): string[] {
  const code = withoutComments(text);
  return ["turn_external", "external_services"].filter((name) => new RegExp(`["']${name}["']`).test(code));
}

function changeHost(text: string, host: string, place: ComponentPlace): string {
  const section = sectionOf(text, "VirtualHost", host);
  if (!section) throw new Error(`it has no VirtualHost ${quote(host)}`);
  const code = withoutComments(text).slice(section.start, section.end);
  if (/^\s*\)?\s*\{/.test(code)) throw new Error(`VirtualHost ${quote(host)} has its settings in braces`);
  const modules = listIn(code, "modules_enabled");
  const missing = hostModules.filter((name) => !new RegExp(`["']${name}["']`).test(modules?.content ?? ""));
  const delegated = listIn(code, "delegations");
  const other = delegatedNamespaces.find((namespace) => delegated?.content.includes(namespace));
  if (other) throw new Error(`VirtualHost ${quote(host)} delegates ${other} already`);

  const all = settings(place).map((setting) => ({ setting, there: listIn(code, setting.name) }));
  const inserts = [
    ...(modules ? [{ at: modules.start, lines: missing.map((name) => `    ${quote(name)};`) }] : []),
    ...all.flatMap(({ setting, there }) => (there ? [{ at: there.start, lines: setting.entries }] : [])),
    {
      at: 0,
      lines: [
        ...(modules ? [] : [modulesLine]),
        ...all.flatMap(({ setting, there }) => (there ? [] : settingLines(setting))),
      ],
    },
  ];
  return inserts
    .sort((one, other) => other.at - one.at)
    .reduce((soFar, { at, lines }) => insert(soFar, section.start + at, lines), text);
}

/** As lines of their own, after what stands at this place. */
function insert(text: string, at: number, lines: readonly string[]): string {
  if (lines.length === 0) return text;
  const rest = text.slice(at);
  return `${text.slice(0, at)}\n${lines.map(marked).join("\n")}${rest.startsWith("\n") ? "" : "\n"}${rest}`;
}

/** From behind its name up to the next section. */
function sectionOf(text: string, kind: "VirtualHost" | "Component", name: string) {
  const code = withoutComments(text);
  const heading = new RegExp(`^[ \\t]*${kind}[ \\t]*\\(?[ \\t]*(["'])${name.replace(/\W/g, "\\$&")}\\1`, "m").exec(
    code,
  );
  if (!heading) return undefined;
  const start = heading.index + heading[0].length;
  const next = /^[ \t]*(?:VirtualHost|Component)\b/m.exec(code.slice(start));
  return { start, end: next ? start + next.index : text.length };
}

/** What stands between the braces of a setting. */
function listIn(code: string, name: string): { start: number; content: string } | undefined {
  const opening = new RegExp(`\\b${name}\\s*=\\s*\\{`).exec(code);
  if (!opening) return undefined;
  const start = opening.index + opening[0].length;
  let depth = 1;
  let end = start;
  for (; end < code.length && depth > 0; end++) {
    if (code[end] === "{") depth += 1;
    if (code[end] === "}") depth -= 1;
  }
  return { start, content: code.slice(start, end) };
}

/** Before any host, since it is for all of the server. */
function portLines({ address, port }: ComponentPlace): string[] {
  return [
    ...(port === usualPort ? [] : [`component_ports = { ${port} }`]),
    ...(loopback.includes(address) ? [] : [`component_interfaces = { ${quote(address)} }`]),
  ];
}

function marked(line: string): string {
  return line + mark;
}

interface Setting {
  readonly name: string;
  readonly entries: readonly string[];
}

function settings({ domain }: ComponentPlace): Setting[] {
  const delegations = delegatedNamespaces.map((name) => `    [${quote(name)}] = { jid = ${quote(domain)} };`);
  const pushes = delegatedNamespaces.map((name) => `[${quote(name)}] = "set"`).join("; ");
  return [
    { name: "delegations", entries: delegations },
    { name: "privileged_entities", entries: [`    [${quote(domain)}] = { iq = { ${pushes} } };`] },
  ];
}

function settingLines({ name, entries }: Setting): string[] {
  return [`  ${name} = {`, ...entries, "  }"];
}

function componentLines({ domain, secret }: ComponentPlace): string[] {
  return [`Component ${quote(domain)}`, `  component_secret = ${quote(secret)}`, modulesLine];
}

function quote(text: string): string {
  return `"${text.replace(/["\\]/g, "\\$&").replace(/\n/g, "\\n")}"`;
}
