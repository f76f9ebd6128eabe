// `sluice discover` against listeners of ours, as an operator would check a new installation: UDP, TCP, and TLS with its
// certificate, good or bad.

import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Relay } from "../../src/relay.ts";
import { startSluice } from "../cli/sluice-process.ts";
import { needs } from "./needs.ts";
import { openRelay, portOf } from "./open-relay.ts";
import { freePorts, newFolder } from "./server-process.ts";

describe.runIf(needs("openssl")).each(["portable", "auto"])("sluice discover, of the plane %s", (dataplane) => {
  let relay: Relay;
  let folder: string;

  beforeAll(async () => {
    folder = newFolder("discover");
    const [port = 0] = await freePorts(1);
    relay = await openRelay({ folder, dataplane, address: "127.0.0.1", port });
  });

  afterAll(async () => {
    await relay?.stop();
    rmSync(folder, { recursive: true });
  });

  async function discover(host: string, ...authorities: readonly string[]) {
    const env = authorities.length > 0 ? { NODE_EXTRA_CA_CERTS: join(folder, ...authorities) } : {};
    const ports = [`${host}:${portOf(relay, "udp")}`, "--tls-port", `${portOf(relay, "tls")}`];
    const { ended, stdout, stderr } = startSluice(["discover", ...ports, "--family", "4", "--json"], env);
    expect(await ended, stderr()).toBe(0);
    return JSON.parse(stdout());
  }

  const mapped = { address: "127.0.0.1", port: expect.any(Number) };

  test("finds it by UDP, TCP and TLS, with a certificate for its name from somebody trusted", async () => {
    expect(await discover("localhost", "relay.crt")).toMatchObject({
      udp: { mapped },
      tcp: { mapped },
      tls: { mapped, certificate: "trusted" },
    });
  });

  test("says when nobody trusted has signed the certificate", async () => {
    const { tls } = await discover("localhost");
    expect(tls).toMatchObject({ mapped, certificate: expect.stringMatching(/SELF_SIGNED/) });
  });

  test("says when the certificate is for another name", async () => {
    const { tls } = await discover("127.0.0.1", "relay.crt");
    expect(tls).toMatchObject({ mapped, certificate: expect.stringMatching(/ALTNAME|Hostname/i) });
  });
});
