// ICE agents and WebRTC peers that others wrote, in Python and in TypeScript, whose TURN goes over UDP, TCP and TLS, with
// the certificate checked. The relay's own counters must have seen their messages pass.

import { rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Transport } from "../../src/contract.ts";
import type { Relay } from "../../src/relay.ts";
import type { DebianPackage } from "../debian-packages.ts";
import { needs } from "./needs.ts";
import { losses, openRelay, packetsBothWays, portOf, users } from "./open-relay.ts";
import { run } from "./program.ts";
import { newFolder } from "./server-process.ts";

const messages = 200;
/** Enough for a program that waits for its peer and not for a socket. */
const deadlineSeconds = 60;
/** Of the distribution: another one would not find its packages. */
const python = "/usr/bin/python3";

interface Door {
  readonly transport: Transport;
  readonly host: string;
  readonly port: number;
}

interface Client {
  readonly name: string;
  readonly packages: readonly DebianPackage[];
  readonly program: string;
  readonly args: (door: Door) => readonly string[];
}

const clients: readonly Client[] = [
  {
    name: "aioice",
    packages: ["python3-aioice"],
    program: python,
    args: ({ transport, host, port }) => [
      fileURLToPath(new URL("aioice-call.py", import.meta.url)),
      transport,
      host,
      `${port}`,
    ],
  },
  {
    name: "aiortc",
    packages: ["python3-aiortc"],
    program: python,
    args: (door) => [fileURLToPath(new URL("aiortc-call.py", import.meta.url)), urlOf(door)],
  },
  {
    name: "werift",
    packages: [],
    program: process.execPath,
    args: (door) => [fileURLToPath(new URL("werift-call.mjs", import.meta.url)), urlOf(door)],
  },
];

function urlOf({ transport, host, port }: Door): string {
  return `${transport === "tls" ? "turns" : "turn"}:${host}:${port}?transport=${transport === "udp" ? "udp" : "tcp"}`;
}

describe.runIf(needs("openssl")).each(["portable", "auto"])("on the plane %s", { timeout: 90_000 }, (dataplane) => {
  let relay: Relay;
  let folder: string;

  beforeAll(async () => {
    folder = newFolder("ice-clients");
    relay = await openRelay({ folder, dataplane, address: "127.0.0.1" });
  });

  afterAll(async () => {
    await relay?.stop();
    rmSync(folder, { recursive: true });
  });

  describe.each(clients)("two peers of $name", ({ packages, program, args }) => {
    const hasPrograms = needs(...packages);

    test.runIf(hasPrograms).for(["udp", "tcp", "tls"] as const)(
      "exchange all their messages over %s",
      async (transport) => {
        const before = packetsBothWays(relay, transport);
        // The certificate is for a name.
        const host = transport === "tls" ? "localhost" : "127.0.0.1";
        const door = { transport, host, port: portOf(relay, transport) };
        const certificate = join(folder, "relay.crt");
        const { output, exitCode } = await run(
          program,
          [...args(door), "alice", users.alice, `${messages}`],
          deadlineSeconds,
          { SSL_CERT_FILE: certificate, NODE_EXTRA_CA_CERTS: certificate },
        );
        expect(exitCode, output).toBe(0);
        expect(JSON.parse(output)).toMatchObject({ sent: messages, echoed: messages });
        expect(packetsBothWays(relay, transport) - before).toBeGreaterThan(messages);
        expect(losses(relay)).toEqual({});
      },
    );
  });
});
