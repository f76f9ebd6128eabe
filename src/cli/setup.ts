// `sluice setup prosody|ejabberd`: what the XMPP server's configuration needs, printed or put in its place, and whether it
// works.

import { isIP } from "node:net";
import { join } from "node:path";
import { Command } from "commander";
import { parentOf } from "../component/component.ts";
import { checkServer } from "../component/server-check.ts";
import { findingText, isWrong } from "../component/server-look.ts";
import { type Config, readConfig } from "../config/config.ts";
import { keptSecret, stateFolder } from "../config/kept-secret.ts";
import { mistakeAt } from "../config/mistakes.ts";
import { domainName } from "../config/values.ts";
import { Unavailable } from "../contract.ts";
import { reasonOf } from "../thrown.ts";
import { telling } from "./failures.ts";
import type { ComponentPlace } from "./setup/component-place.ts";
import { changeEjabberdConfig, ejabberdConflicts, ejabberdLines } from "./setup/ejabberd-config.ts";
import { changeProsodyConfig, prosodyConflicts, prosodyLines } from "./setup/prosody-config.ts";
import { replaceFile } from "./setup/replace-file.ts";
import { runningRelay } from "./setup/running-relay.ts";

interface Flags {
  readonly config?: string;
  readonly domain?: string;
  readonly write?: string;
  readonly check?: true;
}

interface Server {
  readonly title: string;
  readonly file: string;
  readonly lines: (place: ComponentPlace) => string;
  readonly change: (before: string, place: ComponentPlace) => string;
  readonly conflicts: (text: string) => string[];
}

const servers = {
  prosody: {
    title: "Prosody, with its package prosody-modules",
    file: "prosody.cfg.lua",
    lines: prosodyLines,
    change: changeProsodyConfig,
    conflicts: prosodyConflicts,
  },
  ejabberd: {
    title: "ejabberd",
    file: "ejabberd.yml",
    lines: ejabberdLines,
    change: changeEjabberdConfig,
    conflicts: ejabberdConflicts,
  },
} as const satisfies Record<string, Server>;

/** What there is to agree on, and what is to stand in our own configuration if it does not yet. */
interface Agreement extends ComponentPlace {
  readonly service: string;
  /** Where a relay that runs with our configuration can be asked. */
  readonly metrics: Config["metrics"];
  readonly ownLines: readonly string[];
}

const usualService = "xmpp://127.0.0.1:5347";
const componentSecret = "component-secret";

export function setupCommand(): Command {
  const command = new Command("setup").summary("connect an XMPP server: its lines, and whether they work");
  for (const name of ["prosody", "ejabberd"] as const) {
    command.addCommand(
      new Command(name)
        .summary(`connect ${name}`)
        .description(
          "Prints what the server's configuration needs. With --write, puts it there; with --check, looks whether it works, as the component.",
        )
        .option("--config <file>", "our own configuration; without its section xmpp, a secret is made and kept")
        .option("--domain <domain>", "the component's own domain, such as relay.example.org, if that has none")
        .option("--write <file>", "the server's configuration: changed in place, and a backup kept beside it")
        .option("--check", "connect to the server, which runs already, and look; a relay that runs does it for us")
        .action((flags: Flags) => telling(() => setup(servers[name], flags))),
    );
  }
  return command;
}

async function setup(server: Server, flags: Flags): Promise<void> {
  const agreement = agreementOf(flags);
  if (flags.check) return check(agreement);
  if (flags.write !== undefined) return write(server, flags.write, agreement);
  say(`For ${server.title}, in ${server.file}:`, "", server.lines(agreement));
  sayOwn(agreement);
}

function write(server: Server, file: string, agreement: Agreement): void {
  let conflicts: string[] = [];
  const stamp = new Date().toISOString().replaceAll(":", "-");
  const backup = replaceFile(file, stamp, (text) => {
    conflicts = server.conflicts(text);
    return attempt(file, () => server.change(text, agreement));
  });
  say(backup === undefined ? `${file} has it all already.` : `${file} is changed; what it was is in ${backup}.`);
  for (const name of conflicts) say(`Remove ${name} there: it answers clients in our place.`);
  say("Restart the server, then look whether it works: the same command with --check in place of --write.", "");
  sayOwn(agreement);
}

/** A relay that runs has the one stream that there may be, and so is asked to look. */
async function check(agreement: Agreement): Promise<void> {
  const told = await runningRelay(agreement);
  const findings = told ? [] : await checkServer(agreement);
  for (const line of told?.lines ?? findings.map(findingText)) say(line);
  if (told ? !told.isWell : findings.some(isWrong)) throw new Unavailable("it does not work yet");
}

function agreementOf({ config: file, domain: asked }: Flags): Agreement {
  const config = readConfig({ file });
  const { xmpp } = config;
  const wrong = (message: string) => mistakeAt({ path: "--domain" }, message);
  if (xmpp && asked !== undefined && xmpp.domain !== asked) throw wrong("the configuration has another");
  const written = xmpp?.domain ?? asked;
  if (written === undefined) throw wrong("is missing, and the configuration has no section xmpp");
  const { data: domain } = domainName.safeParse(written);
  if (domain === undefined) throw wrong(`${JSON.stringify(written)} is no domain`);
  const service = xmpp?.service ?? usualService;
  const hosts = xmpp && xmpp.domains.length > 0 ? xmpp.domains : [parentOf(domain)];
  const { secret, ownLines } = xmpp ? { secret: xmpp.secret, ownLines: [] } : madeSecret(config, domain);
  return { domain, hosts, secret, service, metrics: config.metrics, ownLines, ...addressOf(service) };
}

function madeSecret({ state }: Config, domain: string): { secret: string; ownLines: string[] } {
  const folder = stateFolder(state);
  const secret = keptSecret(folder, componentSecret);
  const file = JSON.stringify(join(folder, componentSecret));
  return {
    secret,
    ownLines: ["xmpp:", `  service: ${usualService}`, `  domain: ${domain}`, `  secret: { file: ${file} }`],
  };
}

/** A server that is somewhere else has to listen where we reach it; which address that is, it knows. */
function addressOf(service: string): { address: string; port: number } {
  const { hostname, port } = new URL(service);
  const host = hostname.replace(/^\[|\]$/g, "");
  const address = host === "localhost" ? "127.0.0.1" : isIP(host) === 0 ? "::" : host;
  return { address, port: Number(port) };
}

function attempt(file: string, change: () => string): string {
  try {
    return change();
  } catch (error) {
    const message = `${reasonOf(error)}: change it by hand, as setup prints it without --write`;
    throw mistakeAt({ file }, message);
  }
}

function sayOwn({ ownLines }: Agreement): void {
  if (ownLines.length > 0) say("For Sluice, in its configuration:", "", ...ownLines);
}

function say(...lines: readonly string[]): void {
  process.stdout.write(`${lines.join("\n")}\n`);
}
