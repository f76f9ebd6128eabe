// The NAT discovery of others' clients against Sluice: RFC 5780 as coturn's tools ask for it, RFC 3489 as Debian's stun.
// Here is no NAT, so that what they should find is known.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readConfig } from "../../src/config/config.ts";
import { type Relay, startRelay } from "../../src/relay.ts";
import { needs } from "./needs.ts";
import { debianStun, run } from "./program.ts";

describe.each(["portable", "auto"])("on the plane %s", (dataplane) => {
  let relay: Relay;
  let port: string;

  beforeAll(async () => {
    const flags = {
      listen: ["udp://127.0.0.1:0"],
      secret: "rabbit",
      loopback: true,
      "relay-address": "127.0.0.1",
      metrics: "none",
      log: { level: "silent" },
      dataplane,
      "nat-discovery": { "alternate-address": "127.0.0.2", "alternate-port": 0 },
    };
    relay = await startRelay(readConfig({ flags, env: {} }));
    port = `${relay.listeners[0]?.at.port}`;
  });

  afterAll(() => relay.stop());

  describe.runIf(needs("coturn"))("coturn's clients", { concurrent: true, timeout: 60_000 }, () => {
    test.for([
      ["in small packets", []],
      ["in packets that are cut into fragments", ["-P"]],
    ] as const)("find neither mapping nor filtering, and a way back to themselves, %s", async ([, options]) => {
      const { output, exitCode } = await run("turnutils_natdiscovery", [
        ...["-m", "-f", "-H", ...options, "-p", port, "127.0.0.1"],
      ]);
      expect(output).toContain("Endpoint Independent Mapping!");
      expect(output).toContain("Endpoint Independent Filtering!");
      expect(output).toContain("successful hairpinning");
      expect(output).not.toContain("timeout");
      expect(exitCode).toBe(0);
    });

    test("get an answer at another port than they ask from, a second later", async () => {
      const { output } = await run("turnutils_natdiscovery", ["-t", "-T", "1", "-p", port, "127.0.0.1"]);
      expect(output).toContain("RFC 5780 response 2");
      expect(output).not.toContain("timeout");
    });

    test("go on to the other address when they are told to use RFC 5780", async () => {
      const { output } = await run("turnutils_stunclient", ["-f", "-p", port, "127.0.0.1"]);
      expect(output).toContain("RFC 5780 response 3");
      expect(output).toMatch(/Response origin: : 127\.0\.0\.2:/);
    });
  });

  describe.runIf(needs("stun-client"))("Debian's stun, a client of RFC 3489", { timeout: 60_000 }, () => {
    test("finds that it is reached by everybody", async () => {
      const { output } = await run(debianStun, [`127.0.0.1:${port}`]);
      expect(output).toContain("Primary: Open");
    });

    test("gets its answers from all four places", async () => {
      const { output } = await run(debianStun, [`127.0.0.1:${port}`, "-v"]);
      for (const found of ["test I = 1", "test II = 1", "test III = 1", "test I(2) = 1", "hairpin = 1"]) {
        expect(output).toContain(found);
      }
    });
  });
});
