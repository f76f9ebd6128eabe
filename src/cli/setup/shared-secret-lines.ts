// What a server needs that hands out credentials of the shared secret by modules of its own, without a component.

import type { Transport } from "../../contract.ts";

/** A listener as clients see it from outside. */
export interface Door {
  readonly transport: Transport;
  readonly host: string;
  readonly port: number;
}

/** For Prosody and ejabberd. `first` is where clients are sent who are told of one place only. */
export function sharedSecretLines(first: Door, doors: readonly Door[], secret: string): string[] {
  const { host, port } = first;
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
    "Or have them delegate to Sluice, with credentials of each user's own: sluice setup prosody|ejabberd.",
    "",
  ];
}
