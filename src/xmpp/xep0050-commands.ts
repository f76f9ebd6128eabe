// XEP-0050: commands that are run in steps from any client. What a command does is a function from the answers so far to
// the next stage; here is what holds for every one: who may, in which order, and for how long.

import xml, { type Element } from "@xmpp/xml";
import type { Command, OpenStage } from "./command.ts";
import { CommandSessions, type Session } from "./command-sessions.ts";
import type { Description, Extension } from "./extension.ts";
import type { IqRequest } from "./iq.ts";
import type { Jid } from "./jid.ts";
import { type Refusal, refuse } from "./stanza-errors.ts";
import { type Answers, dataFormsNamespace, readAnswers, writeForm } from "./xep0004-data-forms.ts";

const commandsNamespace = "http://jabber.org/protocol/commands";

export interface CommandsOptions {
  /** Our own address. */
  readonly jid: string;
  readonly commands: readonly Command[];
  /** Makes session ids that nobody can guess, and that we know again when their session is over. */
  readonly sessionKey: string | Uint8Array;
  /** How whoever ran a command is called in facts. */
  readonly nameOf: (asker: Jid) => string;
}

type Action = "cancel" | "complete" | "execute" | "next" | "prev";

const actions: readonly string[] = ["cancel", "complete", "execute", "next", "prev"] satisfies Action[];

/** Section 4.4 has another type of it than RFC 6120. */
const forbidden = refuse("forbidden", "", { type: "cancel" });

/** One request on its way. */
interface Step extends IqRequest {
  readonly options: CommandsOptions;
  readonly sessions: CommandSessions;
  readonly command: Command;
  readonly sessionId: string;
}

export function commands(options: CommandsOptions): Extension {
  const sessions = new CommandSessions(options.sessionKey);
  return {
    rows: [
      {
        type: "set",
        namespace: commandsNamespace,
        element: "command",
        answer: (request) => echoing(request, answer(options, sessions, request)),
      },
    ],
    features: [dataFormsNamespace],
    describe: (node, asker) => describe(options, node, asker),
  };
}

/** Nobody sees a command that he may not run. */
function describe({ commands, jid }: CommandsOptions, node: string, asker: Jid): Description | Refusal | undefined {
  if (node === commandsNamespace) {
    const own = commands.filter(({ mayRun }) => mayRun(asker));
    return {
      identities: [{ category: "automation", type: "command-list", name: "Commands" }],
      items: own.map(({ node, name }) => ({ jid, node, name })),
    };
  }
  const command = commands.find((each) => each.node === node);
  if (!command) return undefined;
  if (!command.mayRun(asker)) return forbidden;
  return {
    identities: [{ category: "automation", type: "command-node", name: command.name }],
    features: [commandsNamespace, dataFormsNamespace],
  };
}

function answer(options: CommandsOptions, sessions: CommandSessions, request: IqRequest): Element | Refusal {
  const { from, now } = request;
  const { node, sessionid, action = "execute" } = request.payload.attrs;
  const command = options.commands.find((each) => each.node === node);
  if (!command) return refuse("item-not-found", "there is no such command");
  if (!command.mayRun(from)) return forbidden;
  if (!isAction(action)) return badRequest("malformed-action");

  const step = { ...request, options, sessions, command };
  if (sessionid === undefined) {
    if (action !== "execute") return badRequest("bad-action", "a command begins with execute");
    return advance({ ...step, sessionId: sessions.newId(command, from) }, []);
  }
  const session = sessions.find(sessionid, command, from, now);
  if (session) return proceed({ ...step, sessionId: sessionid }, session, action);
  if (!sessions.hasNamed(sessionid, command, from)) return badRequest("bad-sessionid");
  return refuse("not-allowed", "", { detail: { name: "session-expired", namespace: commandsNamespace } });
}

/** As the examples of the XEP do: slixmpp and others know by it which session was refused. */
function echoing({ payload }: IqRequest, outcome: Element | Refusal): Element | Refusal {
  if (!("refused" in outcome)) return outcome;
  const { node, sessionid, action } = payload.attrs;
  return { ...outcome, echo: xml("command", { xmlns: commandsNamespace, node, sessionid, action }) };
}

function isAction(text: string): text is Action {
  return actions.includes(text);
}

function proceed(step: Step, { stage, answers }: Session, action: Action): Element | Refusal {
  const { allowed, usual } = actionsAt(stage, answers);
  const chosen = action === "execute" ? usual : action;
  if (chosen === "cancel") return close(step, "canceled");
  if (!allowed.includes(chosen)) return badRequest("bad-action", `here is room for ${allowed.join(", ")} and cancel`);
  if (chosen === "prev") return advance(step, answers.slice(0, -1));
  if ("shows" in stage) return chosen === "next" ? advance(step, [...answers, new Map()]) : close(step, "completed");
  const read = readAnswers(stage.asks, step.payload);
  return typeof read === "string" ? badRequest("bad-payload", read) : advance(step, [...answers, read]);
}

/** What comes after these answers. */
function advance(step: Step, answers: readonly Answers[]): Element | Refusal {
  const { command, sessions, sessionId, from, now, options } = step;
  const stage = command.next(answers, { jid: from, now });
  if ("wrong" in stage) return badRequest("bad-payload", stage.wrong);
  if ("done" in stage) {
    const outcome = stage.isFailure ? "failed" : "done";
    step.report({ fact: "command-run", what: command.node, user: options.nameOf(from), outcome });
    const notes = stage.done === "" ? [] : [xml("note", { type: stage.isFailure ? "error" : "info" }, stage.done)];
    return close(step, "completed", [...(stage.result ? [stage.result] : []), ...notes]);
  }
  sessions.keep(sessionId, { command, asker: from, answers, stage }, now);
  const { allowed, usual } = actionsAt(stage, answers);
  const buttons = xml("actions", { execute: usual }, ...allowed.map((action) => xml(action)));
  return write(step, "executing", [buttons, "asks" in stage ? writeForm(stage.asks) : stage.shows]);
}

/** Which there are besides cancel, and which of them execute stands for. */
function actionsAt(stage: OpenStage, answers: readonly Answers[]): { allowed: Action[]; usual: Action } {
  const isLast = "asks" in stage ? stage.isLast : !stage.hasMore;
  const back: Action[] = answers.length > 0 ? ["prev"] : [];
  const onwards: Action[] = isLast ? ["complete"] : "shows" in stage ? ["next", "complete"] : ["next"];
  return { allowed: [...back, ...onwards], usual: isLast ? "complete" : "next" };
}

function close(step: Step, status: "completed" | "canceled", content: readonly Element[] = []): Element {
  step.sessions.end(step.sessionId);
  return write(step, status, content);
}

function write({ command, sessionId }: Step, status: string, content: readonly Element[]): Element {
  const attributes = { xmlns: commandsNamespace, node: command.node, sessionid: sessionId, status, "xml:lang": "en" };
  return xml("command", attributes, ...content);
}

/** Section 4.4. */
function badRequest(name: string, text = ""): Refusal {
  return refuse("bad-request", text, { detail: { name, namespace: commandsNamespace } });
}
