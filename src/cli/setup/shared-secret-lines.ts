// What a server needs that hands out credentials of the shared secret by modules of its own, without a component.

import { type Door, schemes } from "../../turn/uri.ts";

/** For Prosody and ejabberd. `first` is where clients are sent who are told of one place only. */
export function sharedSecretLines(first: Door, doors: readonly Door[], secret: string): string[] {
  const { host, port } = first;
  const services = doors.filter(
    (door) => door.host === host && door.port === port && schemes[door.transport].turn === "turn",
  );
  const [tls, dtls] = (["tls", "dtls"] as const).map((wanted) => doors.find(({ transport }) => transport === wanted));
  const secured = [tls, dtls].filter((door) => door !== undefined);
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
    ...secured.map(
      (door) =>
        `      - { type: turns, host: "${door.host}", port: ${door.port}, transport: ${schemes[door.transport].below}, restricted: true }`,
    ),
    "",
    "Or have them delegate to Sluice, with credentials of each user's own: sluice setup prosody|ejabberd.",
    "",
  ];
}
