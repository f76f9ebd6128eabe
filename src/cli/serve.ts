// `sluice serve`: runs the relay until it is told to end. Each flag has the name of its key and takes the place of it.

import { resolve } from "node:path";
import { Command } from "commander";
import { type Config, readConfig } from "../config/config.ts";
import { keptSecret, stateFolder } from "../config/kept-secret.ts";
import { mistakeAt } from "../config/mistakes.ts";
import { checkUsersFile } from "../config/users-file.ts";
import { telling } from "./failures.ts";
import { greeting, type Started } from "./greeting.ts";
import { ordersBySignal } from "./signals.ts";

export interface RunningRelay extends Started {
  /** Resolves if it cannot go on. */
  readonly givenUp: Promise<Error>;
  reload(reread: () => Config): Promise<void>;
  drain(): void;
  /** Resolves when it drains and nobody is left, or it takes too long. */
  readonly drained: Promise<void>;
  stop(): Promise<void>;
}

export type StartRelay = (config: Config, options: { readonly mayMovePorts: boolean }) => Promise<RunningRelay>;

interface Flags {
  readonly config?: string;
  readonly listen?: readonly string[];
  readonly user?: readonly string[];
  readonly secret?: string;
  readonly realm?: string;
  readonly relayAddress?: string;
  readonly relayPorts?: string;
  readonly dataplane?: string;
  readonly metrics?: string;
  readonly tlsCertificate?: string;
  readonly tlsKey?: string;
  readonly loopback?: true;
  readonly greeting?: true;
}

export function serveCommand(startRelay: StartRelay): Command {
  return new Command("serve")
    .summary("run the relay")
    .description(
      "Runs until SIGTERM or SIGINT; SIGUSR2 drains it first; SIGHUP reads files anew. Without a file, makes its own secret, and says on a terminal what to do next.",
    )
    .option("--config <file>", "the configuration, as config/sluice.yaml shows it; flags win over it")
    .option(
      "--listen <url>",
      "where clients arrive: udp://0.0.0.0:3478, tcp://[::]:3478, tls://0.0.0.0:5349; repeatable",
      collect,
    )
    .option("--user <name:password>", "a static user; repeatable", collect)
    .option("--secret <secret>", "shared secret for credentials that expire")
    .option("--realm <realm>", "the realm that clients are asked for")
    .option("--relay-address <ip>", "the address that relay ports bind")
    .option("--relay-ports <first-last>", "their range, for example 49152-65535")
    .option("--dataplane <name>", "what moves the packets: auto, native or portable")
    .option("--metrics <url>", "where Prometheus asks: http://127.0.0.1:9641, or none")
    .option("--tls-certificate <file>", "what TLS clients are shown, for --listen tls://0.0.0.0:5349")
    .option("--tls-key <file>", "the certificate's key")
    .option("--loopback", "allow loopback peers, for a try-out on one machine")
    .option("--greeting", "without a file: print what to paste where, secret included, even if this is no terminal")
    .action((flags: Flags) => telling(() => serve(flags, startRelay)));
}

async function serve(flags: Flags, startRelay: StartRelay): Promise<void> {
  const read = () => readConfig({ file: flags.config, flags: keysOf(flags) });
  const given = read();
  checkUsersFile(given);
  const folder = needsKeptSecret(given) ? stateFolder(given.state) : undefined;
  const config = folder === undefined ? given : { ...given, secret: [keptSecret(folder)] };
  const orders = ordersBySignal(config.drain.onSigterm);
  const isFirstRun = flags.config === undefined;
  const relay = await startRelay(config, { mayMovePorts: isFirstRun && flags.listen === undefined });
  // Who reads the greeting may go away and leave the relay running.
  process.stdout.on("error", () => {});
  process.stderr.on("error", () => {});
  if (isFirstRun) greet(flags, () => greeting(config, relay, folder, Date.now()));
  process.on("SIGHUP", () => void relay.reload(read));
  void orders.drain.then(() => relay.drain());
  const failure = await Promise.race([orders.stop, relay.drained, relay.givenUp]);
  await relay.stop();
  if (failure) throw failure;
}

/**
 * The greeting holds secrets, so it goes to a terminal. What is written elsewhere may be kept: it stays out of there,
 * and out of the log in any case, unless it is asked for.
 */
function greet({ greeting: isAskedFor }: Flags, text: () => string): void {
  const terminal = [process.stdout, process.stderr].find(({ isTTY }) => isTTY);
  if (terminal) terminal.write(text());
  else process.stderr.write(isAskedFor ? text() : withheld);
}

const withheld =
  "What to paste where is not printed, for this is no terminal and the secret should be in no log: --greeting prints it.\n";

/** Without users and secrets nobody could come in; without a secret there is nothing to sign credentials with. */
function needsKeptSecret({ secret, user, usersFile, authHook, oauth, relay, credentialsHttp, xmpp }: Config): boolean {
  const hasOthers = usersFile !== undefined || authHook !== undefined || oauth !== undefined;
  const needsUsers = relay && user.size === 0 && !hasOthers;
  return secret.length === 0 && (needsUsers || credentialsHttp !== undefined || xmpp !== undefined);
}

/** The flags as keys of the configuration. */
function keysOf({
  config: _file,
  greeting: _greeting,
  user,
  relayAddress,
  relayPorts,
  tlsCertificate,
  tlsKey,
  ...same
}: Flags): Record<string, unknown> {
  const keys = {
    ...same,
    user: user && usersOf(user),
    "relay-address": relayAddress,
    "relay-ports": relayPorts,
    tls: tlsCertificate === undefined && tlsKey === undefined ? undefined : tlsOf(tlsCertificate, tlsKey),
  };
  return Object.fromEntries(Object.entries(keys).filter(([, value]) => value !== undefined));
}

function usersOf(written: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    written.map((user) => {
      const colon = user.indexOf(":");
      if (colon < 1) throw mistakeAt({ path: "--user" }, "expected name:password");
      return [user.slice(0, colon), user.slice(colon + 1)];
    }),
  );
}

/** Paths from here, and not from the folder of the file. */
function tlsOf(certificate: string | undefined, key: string | undefined): Record<string, unknown> {
  return { certificate: certificate && resolve(certificate), key: key && resolve(key) };
}

function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}
