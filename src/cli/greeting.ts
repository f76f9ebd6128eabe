// What the first run says: where the relay listens, credentials to try it with, and what to paste where.

import type { Config } from "../config/config.ts";
import { type Endpoint, endpointText, type Listener, type RelayAddress, type Transport } from "../contract.ts";
import { mintCredential } from "../turn/credentials.ts";
import { type Door, turnUri } from "../turn/uri.ts";
import { sharedSecretLines } from "./setup/shared-secret-lines.ts";
import { version } from "./version.ts";

/** A relay that runs, as far as it is told of. */
export interface Started {
  readonly listeners: readonly Listener[];
  readonly relayAddresses: readonly RelayAddress[];
  /** The listeners as clients see them from outside. */
  readonly doors: readonly Door[];
  readonly metrics: Endpoint | undefined;
}

const triedForSeconds = 24 * 60 * 60;

/** `folder` is where the secret is kept, if the relay made it itself; `now` is Unix time in milliseconds. */
export function greeting(config: Config, started: Started, folder: string | undefined, now: number): string {
  const door = started.doors.find(({ transport }) => transport === "udp") ?? started.doors[0];
  return [
    ...listening(config, started),
    ...(door ? trying(config, started.doors, now) : []),
    ...(door && config.secret[0] !== undefined ? sharedSecretLines(door, started.doors, config.secret[0]) : []),
    `Metrics: ${started.metrics ? `http://${endpointText(started.metrics)}/metrics` : "none"}`,
    ...(folder === undefined
      ? []
      : [`The secret is kept in ${folder}; remove the file secret there to have a new one made.`]),
    "To decide all this yourself: sluice serve --config FILE, with config/sluice.yaml as the reference.",
    "",
    "",
  ].join("\n");
}

function listening(config: Config, { listeners, relayAddresses }: Started): string[] {
  return [
    `Sluice ${version()} listens on`,
    ...listeners.map(({ transport, at }) => `  ${transport}://${endpointText(at)}${movedNote(config, transport, at)}`),
    `and relays on ${relayAddresses.map(addressText).join(" and ")}, UDP ports ${config.relayPorts.join("-")}.`,
    "Clients must reach all of these: open them in the firewall.",
    "",
    ...(config.loopback ? ["LOOPBACK PEERS ARE ALLOWED: this is for a try-out on one machine only.", ""] : []),
  ];
}

function movedNote({ listen }: Config, transport: Transport, { address, port }: Endpoint): string {
  const asked = listen.find((each) => each.transport === transport && each.at.address === address)?.at.port;
  return asked === undefined || asked === 0 || asked === port ? "" : ` (since port ${asked} is taken)`;
}

function addressText({ bind, external }: RelayAddress): string {
  return external === undefined ? bind : `${bind} (from outside ${external})`;
}

function trying({ secret: [secret], user }: Config, doors: readonly Door[], now: number): string[] {
  const [name = "", password = ""] = [...user][0] ?? [];
  const { username, password: credential } =
    secret === undefined
      ? { username: name, password }
      : mintCredential(secret, "try", Math.floor(now / 1000) + triedForSeconds);
  return [
    `Try it${secret === undefined ? "" : ", for 24 hours"}:`,
    ...doors.map((door) => `  ${turnUri(door)}`),
    `  username:   ${username}`,
    `  credential: ${credential}`,
    "",
  ];
}
