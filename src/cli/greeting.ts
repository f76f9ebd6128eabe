// What the first run says: where the relay listens, credentials to try it with, and what to paste where.

import type { Config } from "../config/config.ts";
import { type Endpoint, familyOf, type Listener, type RelayAddress, type Transport } from "../contract.ts";
import { mintCredential } from "../turn/credentials.ts";
import { version } from "./version.ts";

/** A relay that runs, as far as it is told of. */
export interface Started {
  readonly listeners: readonly Listener[];
  readonly relayAddresses: readonly RelayAddress[];
  /** The listeners as clients see them from outside. */
  readonly doors: readonly { readonly transport: Transport; readonly host: string; readonly port: number }[];
  readonly metrics: Endpoint | undefined;
}

type Door = Started["doors"][number];

const triedForSeconds = 24 * 60 * 60;

/** `folder` is where the secret is kept, if the relay made it itself; `now` is Unix time in milliseconds. */
export function greeting(config: Config, started: Started, folder: string | undefined, now: number): string {
  const door = started.doors.find(({ transport }) => transport === "udp") ?? started.doors[0];
  return [
    ...listening(config, started),
    ...(door ? trying(config, started.doors, now) : []),
    ...(door && config.secret[0] !== undefined ? pasting(door, started.doors, config.secret[0]) : []),
    `Metrics: ${started.metrics ? `http://${hostPort(started.metrics)}/metrics` : "none"}`,
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
    ...listeners.map(({ transport, at }) => `  ${transport}://${hostPort(at)}${movedNote(config, transport, at)}`),
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
    ...doors.map((door) => `  ${uriOf(door)}`),
    `  username:   ${username}`,
    `  credential: ${credential}`,
    "",
  ];
}

/** RFC 7065. */
function uriOf({ transport, host, port }: Door): string {
  const place = hostPort({ address: host, port });
  return transport === "tls" ? `turns:${place}?transport=tcp` : `turn:${place}?transport=${transport}`;
}

function pasting({ host, port }: Door, doors: readonly Door[], secret: string): string[] {
  const services = doors.filter((door) => door.host === host && door.port === port);
  const tls = doors.find(({ transport }) => transport === "tls");
  return [
    'Prosody, with "turn_external" in modules_enabled:',
    // One host for all; who connects over TLS has to find it in the certificate.
    `  turn_external_host = "${tls?.host ?? host}"`,
    `  turn_external_port = ${port}`,
    `  turn_external_secret = "${secret}"`,
    ...(services.some(({ transport }) => transport === "tcp") ? ["  turn_external_tcp = true"] : []),
    ...(tls ? [`  turn_external_tls_port = ${tls.port}`] : []),
    "",
    "ejabberd, under modules:",
    "  mod_stun_disco:",
    `    secret: "${secret}"`,
    "    services:",
    `      - { type: stun, host: "${host}", port: ${port}, transport: udp, restricted: false }`,
    ...services.map(
      ({ transport }) =>
        `      - { type: turn, host: "${host}", port: ${port}, transport: ${transport}, restricted: true }`,
    ),
    ...(tls
      ? [`      - { type: turns, host: "${tls.host}", port: ${tls.port}, transport: tcp, restricted: true }`]
      : []),
    "",
  ];
}

function hostPort({ address, port }: Endpoint): string {
  return familyOf(address) === 6 ? `[${address}]:${port}` : `${address}:${port}`;
}
