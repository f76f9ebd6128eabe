// The log: facts, one line each. JSON for machines, readable on a terminal; who is meant stays masked unless the
// operator asks to see it.

import { randomBytes } from "node:crypto";
import { isatty } from "node:tty";
import { pino } from "pino";
import { prettyFactory } from "pino-pretty";
import { LineWriter } from "./line-writer.ts";
import { type AnyFact, type FactFields, maskFact, showFact } from "./masking.ts";

export interface LogOptions {
  readonly level: "debug" | "info" | "warn" | "error" | "silent";
  readonly format: "auto" | "json" | "pretty";
  readonly addresses: "masked" | "shown";
}

export interface Log {
  fact(fact: AnyFact): void;
  /** What happened to the relay itself. The text and the fields must name no client, peer or user. */
  info(text: string, fields?: FactFields): void;
  warn(text: string, fields?: FactFields): void;
  error(text: string, fields?: FactFields): void;
  /** How many lines of these levels there were, whether or not they were written. They go on changing. */
  readonly complaints: Readonly<Record<"warn" | "error", number>>;
}

/** Where lines go. */
export interface LogSink {
  write(line: string): void;
}

/** Of the facts that are not `info`. */
const levels: Readonly<Record<string, "debug" | "warn" | "error">> = {
  answered: "debug",
  unanswered: "debug",
  "iq-answered": "debug",
  // A stranger can have as many as he likes.
  "stanza-dropped": "debug",
  "service-withheld": "warn",
  "component-refused": "error",
  "auth-hook-silent": "warn",
  "users-unreadable": "error",
  "users-open-to-others": "warn",
  "iq-handler-failed": "error",
  "fault-of-ours": "error",
};

const stdout = 1;
export function openLog(options: LogOptions, sink: LogSink = new LineWriter(stdout)): Log {
  const isPretty = options.format === "pretty" || (options.format === "auto" && isatty(stdout));
  const key = randomBytes(16);
  const fieldsOf = options.addresses === "shown" ? showFact : (fact: AnyFact) => maskFact(fact, key);
  const logger = pino(
    {
      level: options.level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (level) => ({ level }) },
    },
    isPretty ? prettySink(sink) : sink,
  );
  const complaints = { warn: 0, error: 0 };
  const say = (level: "debug" | "info" | "warn" | "error", text: string, fields: () => FactFields) => {
    if (level === "warn" || level === "error") complaints[level] += 1;
    if (logger.isLevelEnabled(level)) logger[level](fields(), text);
  };
  return {
    fact: (fact) => say(levels[fact.fact] ?? "info", fact.fact, () => fieldsOf(fact)),
    info: (text, fields = {}) => say("info", text, () => fields),
    warn: (text, fields = {}) => say("warn", text, () => fields),
    error: (text, fields = {}) => say("error", text, () => fields),
    complaints,
  };
}

function prettySink(sink: LogSink): LogSink {
  const pretty = prettyFactory({ colorize: isatty(stdout), translateTime: "SYS:HH:MM:ss", singleLine: true });
  return { write: (line) => sink.write(String(pretty(line) ?? line)) };
}
